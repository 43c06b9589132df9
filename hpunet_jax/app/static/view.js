// The picture: image, segmentation, further layer, marks and scale bar, with zoom and tools.

import { classColour, filledLabels, greyImage, heatMap, outline } from "./drawing.js";

const CONTOURS = [[0.1, "#58c4ff"], [0.5, "#ffffff"], [0.9, "#ff5c8a"]];

export class View {
  /** `on` has the handlers `window(range)`, `mark(pixels, tool)`, `markEnd()`, `wheel(steps)`. */
  constructor(canvas, on) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.on = on;
    this.tool = "window";
    this.style = "fill";
    this.opacity = 0.45;
    this.layer = null; // {kind, map, top} or null
    this.marks = new Map(); // pixel number -> true (inside) or false (outside)
    this.highlight = null; // [top, left, height, width] in fractions of the image
    this.zoom = 1;
    this.centre = [0, 0];
    this.listen();
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  /** Shows another image [H, W, channels]; `spacing` is [y, x] in millimetres, or null. */
  setImage(image, window, spacing) {
    const same = this.image && this.image.shape.join() === image.shape.join();
    this.image = image;
    this.spacing = spacing;
    this.labels = null;
    this.layer = null;
    this.setWindow(window);
    if (!same) this.fit();
  }

  setWindow(window) {
    this.window = window;
    this.grey = greyImage(this.image, window);
    this.draw();
  }

  setLabels(labels) {
    this.labels = labels;
    this.paths = [...new Set(labels.values)].filter((c) => c > 0).map(
      (c) => [c, outline(labels.shape, (i) => labels.values[i] === c)]);
    this.filled = null;
    this.draw();
  }

  setLayer(layer) {
    this.layer = layer;
    if (layer && layer.kind === "contours") {
      const { shape, values } = layer.map;
      layer.paths = CONTOURS.map(([p, colour]) => [colour, outline(shape, (i) => values[i] >= p)]);
    } else if (layer) {
      layer.heat = heatMap(layer.map, layer.top, 0.85);
    }
    this.draw();
  }

  fit() {
    const [height, width] = this.image.shape;
    const { clientWidth, clientHeight } = this.canvas;
    this.zoom = Math.min(clientWidth / width, clientHeight / height) || 1;
    this.centre = [width / 2, height / 2];
    this.draw();
  }

  resize() {
    const ratio = devicePixelRatio;
    this.canvas.width = this.canvas.clientWidth * ratio;
    this.canvas.height = this.canvas.clientHeight * ratio;
    if (this.image) this.fit();
  }

  /** Image coordinates [x, y] of a pointer event. */
  position(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      (event.clientX - box.left - box.width / 2) / this.zoom + this.centre[0],
      (event.clientY - box.top - box.height / 2) / this.zoom + this.centre[1],
    ];
  }

  draw() {
    if (!this.image || !this.canvas.width) return;
    const { context, canvas, zoom, centre } = this;
    const [height, width] = this.image.shape;
    const ratio = devicePixelRatio;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.setTransform(zoom * ratio, 0, 0, zoom * ratio,
      canvas.width / 2 - centre[0] * zoom * ratio, canvas.height / 2 - centre[1] * zoom * ratio);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.grey, 0, 0);
    if (this.layer && this.layer.heat) context.drawImage(this.layer.heat, 0, 0);
    if (this.labels) this.drawLabels();
    if (this.layer && this.layer.paths) this.stroke(this.layer.paths, 1.5);
    this.drawMarks(width);
    if (this.highlight) {
      const [top, left, high, wide] = this.highlight;
      context.lineWidth = 1.5 / zoom;
      context.strokeStyle = "#fff";
      context.strokeRect(left * width, top * height, wide * width, high * height);
    }
    this.drawScaleBar(ratio);
  }

  drawLabels() {
    if (this.style === "fill") {
      this.filled ??= filledLabels(this.labels, this.opacity);
      this.context.drawImage(this.filled, 0, 0);
    } else if (this.style === "contour") {
      this.stroke(this.paths.map(([c, path]) => [`rgb(${classColour(c)})`, path]), 2);
    }
  }

  stroke(paths, width) {
    this.context.lineWidth = width / this.zoom;
    for (const [colour, path] of paths) {
      this.context.strokeStyle = colour;
      this.context.stroke(path);
    }
  }

  drawMarks(width) {
    for (const [pixel, inside] of this.marks) {
      this.context.fillStyle = inside ? "#35d461" : "#ff453a";
      this.context.fillRect(pixel % width, Math.floor(pixel / width), 1, 1);
    }
  }

  drawScaleBar(ratio) {
    const { context, canvas } = this;
    const unit = this.spacing ? 1 / this.spacing[1] : 1; // image pixels of a millimetre, or of a pixel
    const lengths = [1, 2, 5, 10, 20, 50, 100, 200, 500];
    const length = lengths.findLast((l) => l * unit * this.zoom < canvas.clientWidth / 4) ?? 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const [x, y] = [12, canvas.clientHeight - 14];
    context.fillStyle = context.strokeStyle = "#fff";
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x + length * unit * this.zoom, y);
    context.stroke();
    context.font = "12px system-ui, sans-serif";
    context.fillText(`${length} ${this.spacing ? "mm" : "pixels"}`, x, y - 5);
  }

  listen() {
    const { canvas } = this;
    let start = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.image) return;
      canvas.setPointerCapture(event.pointerId);
      const tool = event.button === 0 ? this.tool : "pan";
      start = { x: event.clientX, y: event.clientY, tool, window: this.window, centre: this.centre };
      this.apply(start, event);
    });
    canvas.addEventListener("pointermove", (event) => start && this.apply(start, event));
    const end = () => {
      if (start && ["inside", "outside", "erase"].includes(start.tool)) this.on.markEnd();
      start = null;
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (!this.image) return;
      if (!event.ctrlKey && this.on.wheel(Math.sign(event.deltaY))) return;
      const before = this.position(event);
      this.zoom = Math.min(Math.max(this.zoom * 1.0015 ** -event.deltaY, 0.05), 64);
      const after = this.position(event);
      this.centre = this.centre.map((c, i) => c + before[i] - after[i]);
      this.draw();
    }, { passive: false });
  }

  apply(start, event) {
    const [dx, dy] = [event.clientX - start.x, event.clientY - start.y];
    if (start.tool === "pan") {
      this.centre = [start.centre[0] - dx / this.zoom, start.centre[1] - dy / this.zoom];
      this.draw();
    } else if (start.tool === "window") {
      if (!dx && !dy) return;
      const [low, high] = start.window;
      const width = (high - low) * 1.005 ** dx;
      const level = (low + high) / 2 + (dy / 300) * (high - low);
      this.on.window([level - width / 2, level + width / 2]);
    } else {
      this.on.mark(this.stroked(start, this.position(event).map(Math.floor)), start.tool);
    }
  }

  /** Pixels from where the stroke was last to [x, y], without gaps however fast the hand is. */
  stroked(start, [x, y]) {
    const [fromX, fromY] = start.last ?? [x, y];
    const steps = Math.max(Math.abs(x - fromX), Math.abs(y - fromY), 1);
    start.last = [x, y];
    return Array.from({ length: steps + 1 }, (_, i) => this.brush(
      Math.round(fromX + ((x - fromX) * i) / steps),
      Math.round(fromY + ((y - fromY) * i) / steps), start.tool)).flat();
  }

  /** Pixels under a brush; marks are small, erasing is wider. */
  brush(x, y, tool) {
    const [height, width] = this.image.shape;
    const radius = tool === "erase" ? 2 : 0;
    const pixels = [];
    for (let v = Math.max(y - radius, 0); v <= Math.min(y + radius, height - 1); v += 1) {
      for (let u = Math.max(x - radius, 0); u <= Math.min(x + radius, width - 1); u += 1) {
        pixels.push(v * width + u);
      }
    }
    return pixels;
  }
}
