// The stage: one pane with a slider between before and after, or several panes side by side; zoom and pan go together.

import { apply, plain } from "./look.js";

const MOST = 16; // screen pixels a picture pixel, at the utmost

export class Viewer {
  constructor(stage, divider, onScale) {
    this.stage = stage;
    this.divider = divider;
    this.onScale = onScale;
    this.panes = [];
    this.split = 0.5;
    this.view = { zoom: 1, x: 0.5, y: 0.5 }; // zoom 1 shows all; x and y are the middle, as shares of the picture
    this.size = { width: 1, height: 1 };
    this.look = { strength: 1, highlights: false, shadows: 0 };
    new ResizeObserver(() => this.redraw()).observe(stage);
    this.listen();
  }

  /** Show sides: `[left, right]` under the slider, or each in a pane of its own. A side is {label, image} or
   * {label, low, image, relit}, to which the look applies. */
  show(sides, { slider, size }) {
    this.size = size;
    this.slider = slider && sides.length === 2;
    const groups = this.slider ? [sides] : sides.map((side) => [null, side]);
    while (this.panes.length > groups.length) this.panes.pop().canvas.parentElement.remove();
    while (this.panes.length < groups.length) this.panes.push(this.pane());
    groups.forEach((group, index) => Object.assign(this.panes[index], { left: group[0], right: group[1] }));
    this.stage.dataset.panes = groups.length;
    this.divider.hidden = !this.slider;
    this.redraw();
  }

  clear() {
    this.show([], { slider: false, size: this.size });
  }

  pane() {
    const box = document.createElement("div");
    const canvas = document.createElement("canvas");
    const before = document.createElement("span");
    const after = document.createElement("span");
    box.className = "pane";
    before.className = "label before";
    after.className = "label after";
    box.append(canvas, before, after);
    this.stage.insertBefore(box, this.divider);
    return { box, canvas, before, after, leftDrawn: document.createElement("canvas"), rightDrawn: document.createElement("canvas") };
  }

  setLook(look) {
    this.look = look;
    this.redraw();
  }

  setSplit(share) {
    this.split = Math.min(Math.max(share, 0), 1);
    this.divider.setAttribute("aria-valuenow", Math.round(this.split * 100));
    this.divider.style.setProperty("--split", `${this.split * 100}%`);
    for (const pane of this.panes) this.compose(pane);
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      for (const pane of this.panes) this.draw(pane);
      this.setSplit(this.split);
      this.stage.classList.toggle("zoomed", this.view.zoom > 1);
      if (this.panes.length) this.onScale(this.scale() / devicePixelRatio);
    });
  }

  /** Device pixels that a picture pixel takes. */
  scale() {
    return this.fitting() * this.view.zoom;
  }

  fitting() {
    const { canvas } = this.panes[0];
    return Math.min(canvas.width / this.size.width, canvas.height / this.size.height) || 1;
  }

  draw(pane) {
    const { box, canvas } = pane;
    const width = Math.max(Math.round(box.clientWidth * devicePixelRatio), 1);
    const height = Math.max(Math.round(box.clientHeight * devicePixelRatio), 1);
    for (const each of [canvas, pane.leftDrawn, pane.rightDrawn]) {
      if (each.width !== width || each.height !== height) Object.assign(each, { width, height });
    }
    this.settle(canvas);
    if (pane.left) this.paint(pane.leftDrawn, pane.left);
    this.paint(pane.rightDrawn, pane.right);
    pane.before.textContent = pane.left?.label ?? "";
    pane.after.textContent = pane.right.label;
  }

  /** Keep the picture in sight. */
  settle(canvas) {
    const scale = this.scale();
    for (const [axis, room, side] of [["x", canvas.width, this.size.width], ["y", canvas.height, this.size.height]]) {
      const half = room / 2 / (side * scale);
      this.view[axis] = half >= 0.5 ? 0.5 : Math.min(Math.max(this.view[axis], half), 1 - half);
    }
  }

  paint(canvas, side) {
    if (side.low === undefined || plain(this.look)) {
      this.place(canvas, side.image);
      return;
    }
    const [low, relit] = [side.low, side.relit].map((image) => this.pixels(canvas, image).data);
    const result = this.pixels(canvas, side.image);
    apply(this.look, low, result.data, relit);
    canvas.getContext("2d").putImageData(result, 0, 0);
  }

  pixels(canvas, image) {
    this.scratch ??= document.createElement("canvas");
    if (this.scratch.width !== canvas.width || this.scratch.height !== canvas.height) {
      Object.assign(this.scratch, { width: canvas.width, height: canvas.height });
    }
    this.place(this.scratch, image);
    return this.scratch.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, canvas.width, canvas.height);
  }

  /** Draw the part of an image that is in view. */
  place(canvas, image) {
    const context = canvas.getContext("2d", { willReadFrequently: canvas === this.scratch });
    const scale = this.scale();
    const [width, height] = [this.size.width * scale, this.size.height * scale];
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = scale < 3;
    context.imageSmoothingQuality = "high";
    const left = canvas.width / 2 - this.view.x * width;
    const top = canvas.height / 2 - this.view.y * height;
    context.drawImage(image, left, top, width, height);
  }

  compose(pane) {
    const { canvas, leftDrawn, rightDrawn } = pane;
    const context = canvas.getContext("2d");
    const edge = pane.left ? Math.round(canvas.width * this.split) : 0;
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (edge > 0) context.drawImage(leftDrawn, 0, 0, edge, canvas.height, 0, 0, edge, canvas.height);
    const rest = canvas.width - edge;
    if (rest > 0) context.drawImage(rightDrawn, edge, 0, rest, canvas.height, edge, 0, rest, canvas.height);
  }

  /** Zoom by a factor about a point of the pane, given as shares of it. */
  zoomBy(factor, across = 0.5, down = 0.5) {
    if (!this.panes.length) return;
    const { canvas } = this.panes[0];
    const before = this.scale();
    const real = devicePixelRatio / this.fitting(); // the zoom at which a picture pixel is one of the page's
    this.view.zoom = Math.min(Math.max(this.view.zoom * factor, Math.min(real, 1)), Math.max(MOST * real, 1));
    const after = this.scale();
    this.view.x += ((across - 0.5) * canvas.width * (1 / before - 1 / after)) / this.size.width;
    this.view.y += ((down - 0.5) * canvas.height * (1 / before - 1 / after)) / this.size.height;
    this.redraw();
  }

  fit() {
    this.view = { zoom: 1, x: 0.5, y: 0.5 };
    this.redraw();
  }

  /** One picture pixel, one screen pixel of the page. */
  one() {
    this.zoomBy(devicePixelRatio / this.scale());
  }

  /** Move the picture by CSS pixels. */
  move(right, down) {
    const scale = this.scale() / devicePixelRatio;
    this.view.x -= right / (this.size.width * scale);
    this.view.y -= down / (this.size.height * scale);
    this.redraw();
  }

  listen() {
    const { stage, divider } = this;
    const fingers = new Map();
    const shares = ({ clientX, clientY }) => {
      const box = (document.elementsFromPoint(clientX, clientY).find((each) => each.className === "pane") ?? stage).getBoundingClientRect();
      return [(clientX - box.left) / box.width, (clientY - box.top) / box.height];
    };
    const spread = () => {
      const [one, two] = [...fingers.values()];
      return Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY);
    };
    stage.addEventListener("pointerdown", (event) => {
      if (event.button > 0 || !this.panes.length) return;
      fingers.set(event.pointerId, event);
      stage.setPointerCapture(event.pointerId);
      this.sliding = this.slider && fingers.size === 1 && (event.target.closest(".divider") !== null || this.view.zoom <= 1);
      if (this.sliding) this.setSplit(shares(event)[0]);
    });
    stage.addEventListener("pointermove", (event) => {
      const last = fingers.get(event.pointerId);
      if (!last) return;
      const apart = fingers.size === 2 ? spread() : 0;
      fingers.set(event.pointerId, event);
      if (fingers.size === 2) this.zoomBy(spread() / apart, ...shares(event));
      else if (this.sliding) this.setSplit(shares(event)[0]);
      else this.move(event.clientX - last.clientX, event.clientY - last.clientY);
    });
    for (const name of ["pointerup", "pointercancel"]) {
      stage.addEventListener(name, (event) => fingers.delete(event.pointerId));
    }
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY / (event.ctrlKey ? 100 : 400)), ...shares(event));
    }, { passive: false });
    stage.addEventListener("dblclick", (event) => (this.view.zoom > 1 ? this.fit() : this.zoomBy(devicePixelRatio / this.scale(), ...shares(event))));
    stage.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return; // the browser's own
      const step = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
      const zoom = { "+": 1.25, "=": 1.25, "-": 0.8 }[event.key];
      if (event.target === divider && slide(this, event.key)) event.preventDefault();
      else if (step && this.panes.length) this.move(...step), event.preventDefault();
      else if (zoom) this.zoomBy(zoom);
      else if (event.key === "0") this.fit();
      else if (event.key === "1" && this.panes.length) this.one();
    });
  }
}

function slide(viewer, key) {
  const share = { ArrowLeft: viewer.split - 0.02, ArrowRight: viewer.split + 0.02, Home: 0, End: 1, PageDown: viewer.split - 0.1, PageUp: viewer.split + 0.1 }[key];
  if (share === undefined) return false;
  viewer.setSplit(share);
  return true;
}
