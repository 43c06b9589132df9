// The latents of each scale as grids of cells, coarse to fine, in prior standard deviations.

import { latentColour } from "./drawing.js";

const LIMIT = 5;

/** Standard normal noise of a scale's size (Box and Muller). */
export function gaussianNoise(size) {
  return Float32Array.from({ length: size }, () =>
    Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
}

/** The prior mean: no noise at any scale. */
export function noNoise(scales) {
  return scales.map(([h, w, d]) => new Float32Array(h * w * d));
}

export class Latents {
  /** `on` has `move(scale, index, value, first)`, `sample(scale)`, `hover(rectangle or null, text)`. */
  constructor(parent, on) {
    this.parent = parent;
    this.on = on;
    this.grids = [];
  }

  /** Builds the grids of scales [h, w, d], coarse to fine. */
  build(scales) {
    this.parent.replaceChildren();
    this.grids = [];
    scales.forEach((shape, scale) => {
      for (let channel = 0; channel < shape[2]; channel += 1) this.addGrid(shape, scale, channel);
    });
  }

  addGrid([height, width, depth], scale, channel) {
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const title = document.createElement("span");
    title.textContent = `scale ${scale}` + (depth > 1 ? `, ${channel}` : "") + ` (${height}×${width})`;
    caption.append(title);
    if (channel === 0) {
      const button = document.createElement("button");
      button.textContent = "sample anew";
      button.dataset.scale = scale;
      button.addEventListener("click", () => this.on.sample(scale));
      caption.append(button);
    }
    const canvas = document.createElement("canvas");
    const cell = Math.max(6, Math.min(48, Math.floor(150 / Math.max(height, width))));
    canvas.width = cell * width;
    canvas.height = cell * height;
    canvas.id = `latent-${scale}-${channel}`;
    figure.append(caption, canvas);
    this.parent.append(figure);
    const grid = { canvas, cell, height, width, depth, scale, channel };
    this.grids.push(grid);
    this.listen(grid);
  }

  draw(noise) {
    this.noise = noise;
    for (const { canvas, cell, height, width, depth, scale, channel } of this.grids) {
      const context = canvas.getContext("2d");
      context.clearRect(0, 0, canvas.width, canvas.height);
      for (let y = 0; y < height; y += 1) {
        for (let x = 0; x < width; x += 1) {
          const value = noise[scale][(y * width + x) * depth + channel];
          context.fillStyle = latentColour(value);
          context.fillRect(x * cell, y * cell, cell - 1, cell - 1);
          if (cell < 30) continue;
          context.fillStyle = getComputedStyle(canvas).color;
          context.font = "11px system-ui, sans-serif";
          context.textAlign = "center";
          context.fillText((Math.abs(value) < 0.05 ? 0 : value).toFixed(1), (x + 0.5) * cell, (y + 0.5) * cell + 4);
        }
      }
    }
  }

  listen(grid) {
    const { canvas, cell, height, width, depth, scale, channel } = grid;
    const at = (event) => {
      const x = Math.min(Math.max(Math.floor(event.offsetX / cell), 0), width - 1);
      const y = Math.min(Math.max(Math.floor(event.offsetY / cell), 0), height - 1);
      return { x, y, index: (y * width + x) * depth + channel };
    };
    const bounded = (value) => Math.min(Math.max(value, -LIMIT), LIMIT);
    const show = ({ x, y, index }) => {
      const value = this.noise[scale][index];
      this.on.hover([y / height, x / width, 1 / height, 1 / width],
        `scale ${scale}, row ${y}, column ${x}: ${value >= 0 ? "+" : "−"}${Math.abs(value).toFixed(2)} σ`);
    };
    let start = null;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      const place = at(event);
      start = { ...place, clientY: event.clientY, value: this.noise[scale][place.index], first: true };
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!start) return show(at(event));
      const value = bounded(start.value + (start.clientY - event.clientY) * 0.025);
      this.on.move(scale, start.index, value, start.first);
      start.first = false;
      return show(start);
    });
    const end = () => { start = null; };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("pointerleave", () => start || this.on.hover(null, ""));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const place = at(event);
      const value = bounded(this.noise[scale][place.index] - Math.sign(event.deltaY) * 0.25);
      this.on.move(scale, place.index, value, true);
      show(place);
    }, { passive: false });
  }
}
