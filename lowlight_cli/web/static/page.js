// The page: which pictures there are, what the controls say, and what the stage therefore shows.

import { about, decompose, enhance, Refused } from "./api.js";
import { apply, drawHistogram, histogram, plain } from "./look.js";
import { Board } from "./mondrian.js";
import { Viewer } from "./viewer.js";

const $ = (id) => document.getElementById(id);
const LARGE = 3e6; // px from which on a small version comes first, so that there is something to see at once
const SMALL = 1e6;
const UNTYPED = /\.(heic|heif|hif|jp2|avif|tiff?)$/i; // pictures whose type a browser may not know
const NAMES = { enhanced: "after", reflectance: "reflectance", illumination: "illumination", relit: "adjusted illumination" };

const pictures = []; // {file, name, thumb, item, results and faults: Maps by model and denoising of maps and of sentences}
let server = { models: [], limits: {} };
let current = null;
let shown = ""; // what the stage was last drawn from
let computing = null;
let counter = 0;

const viewer = new Viewer($("stage"), $("divider"), (scale) => ($("scale").textContent = `${Math.round(scale * 100)} %`));
const form = $("controls");
const choice = (name) => form.querySelector(`[name="${name}"]:checked`).value;
const look = () => ({
  strength: Number($("strength").value),
  shadows: Number($("shadows").value),
  highlights: $("highlights").checked,
});
const tab = () => document.querySelector('[role="tab"][aria-selected="true"]').dataset.map;
const models = () => [...new Set([$("against").value, $("model").value].filter(Boolean))];

// -------------------------------------------------------------------------------------------------------- pictures in

function add(files) {
  const refused = [];
  let first = null;
  for (const file of files) {
    if (file.type && !file.type.startsWith("image/")) {
      refused.push(file.name);
      continue;
    }
    const picture = { file, name: file.name || "pasted", results: new Map(), faults: new Map(), key: counter++, thumb: URL.createObjectURL(file) };
    const megabytes = server.limits.megabytes;
    if (file.size > megabytes * 2 ** 20) picture.fault = `${picture.name} is larger than the ${megabytes} MB that are allowed here`;
    picture.item = itemOf(picture);
    pictures.push(picture);
    first ??= picture;
  }
  const some = refused.slice(0, 3).join(", ") + (refused.length > 3 ? ` and ${refused.length - 3} more` : "");
  $("refused").textContent = refused.length ? `Not pictures, left out: ${some}` : "";
  if (!first) return;
  const focused = $("welcome").contains(document.activeElement);
  $("welcome").hidden = true;
  $("work").hidden = false;
  if (focused) $("stage").focus({ preventScroll: true }); // what had it is hidden now
  select(first);
  queue();
}

/** The files of what was dropped; of a folder, the pictures below it. */
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  return (await Promise.all(entries.map((entry) => inside(entry, false)))).flat();
}

async function inside(entry, deep = true) {
  if (entry.isFile) {
    const file = await new Promise((done, fail) => entry.file(done, fail));
    return deep && !(file.type.startsWith("image/") || UNTYPED.test(file.name)) ? [] : [file];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done, fail) => reader.readEntries(done, fail)); // a hundred at a time
    if (!some.length) return found;
    for (const each of some) if (!each.name.startsWith(".")) found.push(...(await inside(each)));
  }
}

function select(picture) {
  current = picture;
  film();
  if (!picture) {
    viewer.clear();
    $("welcome").hidden = false;
    $("work").hidden = true;
    return;
  }
  $("download-note").textContent = "";
  viewer.fit();
  update();
}

function remove(picture) {
  const place = pictures.indexOf(picture);
  const focused = picture.item.contains(document.activeElement);
  pictures.splice(place, 1);
  picture.leaving?.abort();
  URL.revokeObjectURL(picture.thumb);
  const neighbour = pictures[Math.min(place, pictures.length - 1)] ?? null;
  if (current === picture) select(neighbour);
  else film();
  if (!focused) return;
  if (pictures.length > 1) neighbour.item.querySelector("button").focus();
  else (neighbour ? $("stage") : document.querySelector('#welcome [data-do="choose"]')).focus();
}

/** Bring the film strip up to date; what is there stays, and with it the focus. */
function film() {
  const list = $("film");
  list.hidden = pictures.length < 2;
  const items = pictures.map((picture) => picture.item);
  for (const item of [...list.children]) if (!items.includes(item)) item.remove();
  for (const item of items) if (!item.parentNode) list.append(item);
  pictures.forEach(paint);
}

function itemOf(picture) {
  const item = document.createElement("li");
  const open = document.createElement("button");
  const image = document.createElement("img");
  const away = document.createElement("button");
  image.alt = picture.name;
  image.onerror = () => {
    picture.unseen = true; // by this browser, so that the server's answer has to do
    paint(picture);
  };
  image.src = picture.thumb;
  open.type = away.type = "button";
  open.append(image);
  open.onclick = () => select(picture);
  away.className = "away";
  away.ariaLabel = `Remove ${picture.name}`;
  away.append(Object.assign(document.createElement("span"), { className: "icon icon-close" }));
  away.onclick = () => remove(picture);
  item.append(open, away);
  return item;
}

function paint(picture) {
  const open = picture.item.querySelector("button");
  const fault = faultOf(picture);
  open.title = fault ?? picture.name;
  open.className = fault ? "failed" : picture.results.size ? "done" : "waiting";
  open.setAttribute("aria-current", picture === current);
  const [result] = picture.results.values();
  if (!picture.unseen || !result) return;
  picture.unseen = false;
  open.querySelector("img").src = picture.thumb = URL.createObjectURL(result.maps.low);
}

// ------------------------------------------------------------------------------------------------------------ results

const keyOf = (model, denoise = choice("denoise")) => `${model} ${denoise}`;
const faultOf = (picture) => picture.fault ?? models().map((name) => picture.faults.get(keyOf(name))).find(Boolean);

/** Compute what is missing: of the current picture first, then of the others; one after the other. */
async function queue() {
  if (computing) return;
  for (let todo = next(); todo; todo = next()) await compute(...todo);
  computing = null;
}

function next() {
  for (const picture of [current, ...pictures]) {
    if (!picture || picture.fault) continue;
    const missing = (name) => !picture.results.get(keyOf(name))?.whole && !picture.faults.has(keyOf(name));
    const model = models().reverse().find(missing);
    if (model) return [picture, model, choice("denoise")];
  }
  return null;
}

async function compute(picture, model, denoise) {
  const key = keyOf(model, denoise);
  computing = picture;
  const leaving = (picture.leaving = new AbortController());
  const say = (what) => (news) => {
    picture.said = [words(news, what), news.share];
    if (picture === current) tell(...picture.said);
  };
  const fields = { model, denoise };
  try {
    say("")({ state: "sending", share: 0 });
    const small = picture.results.has(key) ? null : await shrunk(picture.file);
    if (small) {
      picture.results.set(key, await decompose(small, fields, { tell: say("First look · "), signal: leaving.signal }));
      arrived(picture);
    }
    const whole = await decompose(picture.file, fields, { tell: say(small ? "Full resolution · " : ""), signal: leaving.signal });
    picture.results.set(key, { ...whole, whole: true });
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Refused)) console.error(error);
    picture.faults.set(key, `${picture.name}: ${error.message}`);
  }
  if (!pictures.includes(picture)) return;
  arrived(picture);
}

function arrived(picture) {
  film();
  if (picture === current) update();
}

/** A smaller version of a large picture; null if it is not large, or if the browser cannot read it. */
async function shrunk(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  const pixels = bitmap ? bitmap.width * bitmap.height : 0;
  if (pixels <= LARGE) return bitmap?.close() ?? null;
  const scale = Math.sqrt(SMALL / pixels);
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: Math.round(bitmap.width * scale), height: Math.round(bitmap.height * scale) });
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
}

function words(news, what) {
  switch (news.state) {
    case "sending": return `${what}Sending`;
    case "waiting": return `${what}Waiting, ${news.ahead} ahead of this one`;
    case "working": return `${what}Computing`;
    case "full": return `The server is busy; trying again in ${news.seconds} s`;
    default: return `${what}Receiving`;
  }
}

function tell(text, share = null, fault = false) {
  const bar = $("progress");
  $("notice").hidden = !text;
  $("notice").classList.toggle("fault", fault);
  if ($("notice-text").textContent !== text) $("notice-text").textContent = text;
  bar.hidden = fault;
  $("again").hidden = !fault || !current?.faults.size;
  if (share === null || share === undefined) bar.removeAttribute("value");
  else bar.value = share;
}

// -------------------------------------------------------------------------------------------------------------- stage

/** Show what there is of the current picture, and have the rest computed. */
async function update() {
  queue();
  const picture = current;
  if (!picture) return;
  allow();
  const results = models().map((name) => picture.results.get(keyOf(name)));
  if (!results.length) return tell("Waiting for the server");
  if (faultOf(picture)) {
    clear();
    return tell(faultOf(picture), null, true);
  }
  const own = results.at(-1);
  if (results.some((result) => !result)) {
    tell(...(computing === picture ? picture.said : ["Waiting for the picture before"]));
    if (!shown.startsWith(`${picture.key} `)) await original(picture);
    return;
  }
  if (results.every((result) => result.whole)) tell("");
  const wanted = [picture.key, tab(), choice("view"), ...models(), choice("denoise"), ...results.map((result) => result.whole)].join(" ");
  try {
    if (wanted !== shown) await stage(picture, results, wanted);
    if (wanted !== shown) return; // something else is wanted by now
    viewer.setLook({ ...look(), strength: look().strength * own.light });
    await describe(own, wanted);
  } catch (error) {
    for (const result of results) result.bitmaps = result.thumbnails = undefined; // so that they are decoded anew
    if (wanted !== shown) return;
    clear();
    tell(`${picture.name}: this browser cannot show it (${error.message}); you can still download it`, null, true);
  }
}

/** Show nothing. */
function clear() {
  viewer.clear();
  shown = "";
  $("facts").textContent = "";
}

/** Show a picture as it is, for as long as nothing has been computed. */
async function original(picture) {
  const wanted = `${picture.key} as it is`;
  if (shown === wanted) return;
  shown = wanted;
  viewer.clear();
  $("facts").textContent = "";
  const image = await createImageBitmap(picture.file).catch(() => null); // TIFF and HEIC are unknown to most browsers
  if (!image || shown !== wanted) return;
  viewer.show([{ label: "before", image }], { slider: false, size: image });
}

/** Decode what the stage needs and show it. */
async function stage(picture, results, wanted) {
  shown = wanted;
  const map = tab();
  const low = { label: "before", image: await bitmap(results.at(-1), "low") };
  const sides = await Promise.all(results.map(async (result, index) => {
    const label = [NAMES[map], results.length > 1 ? models()[index] : "", result.whole ? "" : "first look"].filter(Boolean).join(" · ");
    const image = await bitmap(result, map);
    if (map !== "enhanced") return { label, image };
    return { label, image, low: low.image, relit: await bitmap(result, "relit") };
  }));
  if (shown !== wanted) return;
  const slider = choice("view") === "slider";
  const all = slider && sides.length === 2 ? sides : [low, ...sides];
  viewer.show(all, { slider, size: { width: low.image.width, height: low.image.height } });
  forget(results);
}

function bitmap(result, map) {
  result.bitmaps ??= {};
  return (result.bitmaps[map] ??= createImageBitmap(result.maps[map]));
}

/** Keep decoded pictures of what is shown alone: each may take a hundred megabytes. */
function forget(kept) {
  for (const picture of pictures) {
    for (const result of picture.results.values()) {
      if (!kept.includes(result)) delete result.bitmaps;
    }
  }
}

async function describe(result, wanted) {
  const [low, enhanced, relit] = await Promise.all(["low", "enhanced", "relit"].map((map) => thumbnail(result, map)));
  if (wanted !== shown) return;
  const after = new Uint8ClampedArray(enhanced);
  const seen = { ...look(), strength: look().strength * result.light };
  if (!plain(seen)) apply(seen, low, after, relit);
  for (const [name, pixels] of [["before", low], ["after", after]]) {
    const found = histogram(pixels);
    drawHistogram($(`histogram-${name}`), found);
    $(`mean-${name}`).textContent = `${name}: mean ${Math.round((found.mean / 255) * 100)} %`;
  }
  const { parameters } = server.models.find(({ name }) => name === $("model").value);
  const notes = [`${result.width} × ${result.height} px`, `${parameters.toLocaleString("en")} parameters`];
  if (!result.whole) notes.push("first look, full resolution follows");
  if (result.light < 0.005) notes.push("well exposed already: left as it is");
  else if (result.light < 1) notes.push(`not very dark: strength is scaled by ${result.light.toFixed(2)}`);
  $("facts").textContent = notes.join(" · ");
}

/** RGBA bytes of a small version, for counting. */
async function thumbnail(result, map) {
  result.thumbnails ??= {};
  return (result.thumbnails[map] ??= createImageBitmap(result.maps[map], { resizeWidth: 256, resizeHeight: 256 }).then((small) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 256, height: 256 });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(small, 0, 0);
    return context.getImageData(0, 0, 256, 256).data;
  }));
}

// ----------------------------------------------------------------------------------------------------------- download

/** Let the current picture be downloaded if its own result, not a first look's, is there, and it is not on its way already. */
function allow() {
  const saving = Boolean(current?.saving);
  $("download").disabled = !current?.results.get(keyOf($("model").value))?.whole;
  $("download").ariaDisabled = saving; // disabled, it would lose the focus
  $("download-note").ariaBusy = saving; // no reader is to hear every percent
}

async function download() {
  const picture = current;
  if (picture.saving) return;
  const { suffix, keeps } = picture.results.get(keyOf($("model").value));
  const { strength, shadows, highlights } = look();
  const fields = { model: $("model").value, denoise: choice("denoise"), strength, shadows, protect_highlights: highlights };
  const note = (text) => picture === current && ($("download-note").textContent = text);
  picture.saving = true;
  allow();
  try {
    const key = JSON.stringify(fields);
    if (picture.saved?.key !== key) {
      const tellNote = (news) => note(words(news, "") + (news.share ? `, ${Math.round(news.share * 100)} %` : ""));
      picture.saved = { key, blob: await enhance(picture.file, fields, { tell: tellNote }) };
    }
    const stem = picture.name.replace(/\.[^.]*$/, "");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(picture.saved.blob);
    link.download = `${stem}_bright${suffix}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    note(link.download + (keeps.length ? `, with the original's ${keeps.join(" and ")}` : ""));
  } catch (error) {
    note(error.message);
  } finally {
    picture.saving = false;
    allow();
  }
}

// ------------------------------------------------------------------------------------------------------------- events

function listen() {
  for (const button of document.querySelectorAll("[data-do]")) {
    button.onclick = () => $(button.dataset.do === "camera" ? "shot" : "files").click();
  }
  for (const input of [$("files"), $("shot")]) {
    input.onchange = () => {
      add([...input.files]);
      input.value = "";
    };
  }
  addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) add(files);
  });
  let depth = 0;
  const over = (change) => ($("drop").hidden = (depth += change) <= 0);
  addEventListener("dragenter", () => over(1));
  addEventListener("dragleave", () => over(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    over(-depth);
    dropped(event.dataTransfer).then(add, () => ($("refused").textContent = "What was dropped cannot be read."));
  });
  form.onsubmit = (event) => event.preventDefault();
  for (const name of ["input", "change"]) {
    form.addEventListener(name, () => {
      for (const slider of ["strength", "shadows"]) $(`${slider}-shown`).textContent = Number($(slider).value).toFixed(2);
      $("download-note").textContent = "";
      if (name === "change") film(); // another model may have another fault, or none
      update();
    });
  }
  $("download").onclick = download;
  $("again").onclick = () => {
    $("stage").focus({ preventScroll: true }); // the button that had it goes away
    current.faults.clear();
    film();
    update();
  };
  const zooms = { in: () => viewer.zoomBy(1.5), out: () => viewer.zoomBy(1 / 1.5), fit: () => viewer.fit(), one: () => viewer.one() };
  for (const button of document.querySelectorAll("[data-zoom]")) button.onclick = () => viewer.panes.length && zooms[button.dataset.zoom]();
  tabs([...document.querySelectorAll('[role="tab"]')]);
  $("theme").onclick = () => {
    const shown = document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    theme(shown === "dark" ? "light" : "dark");
  };
}

function tabs(all) {
  const open = (chosen) => {
    for (const each of all) {
      each.setAttribute("aria-selected", each === chosen);
      each.tabIndex = each === chosen ? 0 : -1;
    }
    update();
  };
  all.forEach((each, index) => {
    each.onclick = () => open(each);
    each.onkeydown = (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      const other = all[(index + step + all.length) % all.length];
      other.focus();
      open(other);
    };
  });
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  memory()?.setItem("theme", name);
}

/** What the browser remembers for this page; nothing where site data are blocked. */
function memory() {
  try {
    return localStorage;
  } catch {
    return null;
  }
}

async function start() {
  const chosen = memory()?.getItem("theme"); // without one, the system's
  if (chosen) document.documentElement.dataset.theme = chosen;
  listen();
  server = await about();
  $("model").replaceChildren(...server.models.map(({ name }) => new Option(name, name)));
  $("against").replaceChildren(new Option("the original", ""), ...server.models.map(({ name }) => new Option(name, name)));
  $("against").parentElement.hidden = server.models.length < 2;
  if (current) select(current); // came before the models were known
  $("samples").replaceChildren(...server.samples.map((name) => {
    const item = document.createElement("li");
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.append(Object.assign(new Image(), { src: `/samples/${name}`, alt: name.replace(/\.\w+$/, "") }));
    button.onclick = async () => {
      const blob = await fetch(`/samples/${name}`).then((answer) => (answer.ok ? answer.blob() : null)).catch(() => null);
      if (!blob) $("refused").textContent = "The server does not answer.";
      else add([new File([blob], name, { type: blob.type })]);
    };
    item.append(button);
    return item;
  }));
  const board = new Board({
    picture: $("board"),
    reflectance: $("board-reflectance"),
    says: $("land"),
    ratio: () => Number($("lamp").value),
  });
  let moving = 0;
  $("lamp").oninput = () => {
    $("lamp-shown").textContent = $("lamp").value;
    clearTimeout(moving);
    moving = setTimeout(() => board.draw(), 120);
  };
  $("another").onclick = () => board.shuffle();
  new IntersectionObserver(([seen], watcher) => {
    if (!seen.isIntersecting) return;
    watcher.disconnect();
    board.shuffle();
  }).observe($("board"));
}

start().catch((error) => {
  console.error(error);
  document.querySelector(".big").textContent = error instanceof Refused ? error.message : `This page failed: ${error.message}`;
});
