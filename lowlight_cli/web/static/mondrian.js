// Land's board, live: two pieces of one paper under unequal light, and what the network says that they are.

import { decompose } from "./api.js";

const [COLUMNS, ROWS] = [6, 4];
const A = { column: 1, row: 2 };
const B = { column: 4, row: 1 };
const PAPER = [0.5, 0.34, 0.19];
const NEAR = 0.2; // linear light on A

const encoded = (light) => 255 * (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055);

export class Board {
  constructor({ picture, reflectance, says, ratio }) {
    Object.assign(this, { picture, reflectance, says, ratio });
  }

  shuffle() {
    const paper = () => [0, 0, 0].map(() => 0.06 + 0.8 * Math.random() ** 1.5);
    this.papers = Array.from({ length: COLUMNS * ROWS }, paper);
    for (const { column, row } of [A, B]) this.papers[row * COLUMNS + column] = PAPER;
    return this.draw();
  }

  /** Linear light at a share of the board's width. It falls evenly, in stops, and by `ratio` from A to B. */
  lamp(across) {
    const stops = (across * COLUMNS - A.column - 0.5) / (B.column - A.column);
    return NEAR * (1 / this.ratio()) ** stops;
  }

  async draw() {
    if (!this.papers) return this.shuffle();
    const { width, height } = this.picture;
    const context = this.picture.getContext("2d", { willReadFrequently: true });
    const image = context.createImageData(width, height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const [column, row] = [Math.floor((x * COLUMNS) / width), Math.floor((y * ROWS) / height)];
        const light = this.lamp(x / width);
        const paper = this.papers[row * COLUMNS + column];
        const noise = (Math.random() - 0.5) * 3;
        image.data.set([...paper.map((share) => Math.round(encoded(share * light) + noise)), 255], 4 * (y * width + x));
      }
    }
    context.putImageData(image, 0, 0);
    const values = this.means(this.picture); // now: while it waits, the board may be drawn anew
    const blob = await new Promise((done) => this.picture.toBlob(done));
    this.mark(this.picture, values);
    await this.split(blob);
  }

  async split(blob) {
    this.running?.abort();
    this.running = new AbortController();
    const before = this.seen;
    try {
      const { maps } = await decompose(blob, {}, { tell() {}, signal: this.running.signal });
      const bitmap = await createImageBitmap(maps.reflectance);
      this.reflectance.getContext("2d", { willReadFrequently: true }).drawImage(bitmap, 0, 0);
      const after = this.means(this.reflectance);
      this.mark(this.reflectance, after);
      this.says.textContent =
        `In the picture A is ${before[0]} and B is ${before[1]} of 255; in the reflectance A is ${after[0]} and B is ${after[1]}.`;
      this.says.dataset.values = [...before, ...after].join(" ");
    } catch (error) {
      if (error.name !== "AbortError") this.says.textContent = error.message;
    }
  }

  /** Brightness of the middles of A and B, in [0, 255]. */
  means(canvas) {
    const [wide, high] = [canvas.width / COLUMNS, canvas.height / ROWS];
    const found = [A, B].map(({ column, row }) => {
      const { data } = canvas.getContext("2d").getImageData((column + 0.25) * wide, (row + 0.25) * high, wide / 2, high / 2);
      let sum = 0;
      for (let at = 0; at < data.length; at += 4) sum += 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
      return Math.round((sum * 4) / data.length);
    });
    if (canvas === this.picture) this.seen = found;
    return found;
  }

  mark(canvas, values) {
    const context = canvas.getContext("2d");
    const [wide, high] = [canvas.width / COLUMNS, canvas.height / ROWS];
    context.font = "600 18px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    [A, B].forEach(({ column, row }, index) => {
      context.fillStyle = values[index] > 120 ? "#000" : "#fff";
      context.fillText("AB"[index], (column + 0.5) * wide, (row + 0.5) * high);
    });
  }
}
