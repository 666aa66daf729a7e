// What strength, highlight protection and shadows make of a picture, pixel by pixel: the same formulae as core/enhancing/look.py, so that
// the controls answer at once. What is downloaded is computed by the server.

const ROOM = 0.6;
const KNEE = 0.75;
const BRIGHT = 0.5;

const LIFT = 8;

/** Whether a look is anything but the network's own answer. */
export const plain = (look) => look.strength === 1 && !look.highlights && !look.shadows;

/** Turn `enhanced` (RGBA bytes) into what the look makes of it, given the dark picture and its adjusted illumination. */
export function apply(look, low, enhanced, relit) {
  const { strength, highlights, shadows } = look;
  const lift = Float32Array.from({ length: 256 }, (_, value) => Math.max(value / 255, 1 / LIFT) ** -shadows);
  const pixel = new Float32Array(3);
  for (let at = 0; at < low.length; at += 4) {
    for (let channel = 0; channel < 3; channel++) {
      const dark = low[at + channel];
      const value = enhanced[at + channel];
      const change = value - dark;
      if (strength <= 1) pixel[channel] = dark + strength * change;
      else pixel[channel] = value + (strength - 1) * change * (change > 0 ? 255 - value : value) / 255;
    }
    const by = shadows ? Math.min(lift[relit[at]], 255 / Math.max(pixel[0], pixel[1], pixel[2], 1)) : 1;
    for (let channel = 0; channel < 3; channel++) pixel[channel] *= by;
    if (highlights) {
      const was = Math.max(low[at], low[at + 1], low[at + 2]);
      const now = Math.max(pixel[0], pixel[1], pixel[2], 1);
      const most = was + ROOM * (255 - was);
      const knee = KNEE * most;
      const held = now > knee ? (most - (most - knee) * Math.exp((knee - now) / (most - knee))) / now : 1;
      const part = Math.max((was / 255 - BRIGHT) / (1 - BRIGHT), 0) ** 2;
      for (let channel = 0; channel < 3; channel++) {
        pixel[channel] = (1 - part) * held * pixel[channel] + part * Math.min(pixel[channel], low[at + channel]);
      }
    }
    for (let channel = 0; channel < 3; channel++) enhanced[at + channel] = pixel[channel];
  }
}

/** How often each of 128 levels occurs, and the mean brightness in [0, 255]. */
export function histogram(pixels) {
  const counts = { red: new Uint32Array(128), green: new Uint32Array(128), blue: new Uint32Array(128) };
  let sum = 0;
  for (let at = 0; at < pixels.length; at += 4) {
    counts.red[pixels[at] >> 1]++;
    counts.green[pixels[at + 1] >> 1]++;
    counts.blue[pixels[at + 2] >> 1]++;
    sum += 0.299 * pixels[at] + 0.587 * pixels[at + 1] + 0.114 * pixels[at + 2];
  }
  return { counts, mean: (sum * 4) / pixels.length };
}

/** Draw a histogram into an SVG of 128 by 40. */
export function drawHistogram(svg, { counts }) {
  const all = [...counts.red, ...counts.green, ...counts.blue];
  const most = Math.sqrt(Math.max(...all, 1));
  svg.replaceChildren(...Object.entries(counts).map(([name, levels]) => {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    const line = [...levels].map((count, level) => `L${level + 0.5} ${(40 - (39 * Math.sqrt(count)) / most).toFixed(2)}`);
    path.setAttribute("d", `M0 40${line.join("")}L128 40Z`);
    path.setAttribute("class", name);
    return path;
  }));
}
