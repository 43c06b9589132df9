// Arrays to pixels: grey values through a window, label maps as fill or contour, heat maps.

const CLASS_COLOURS = [
  [255, 196, 0], [0, 180, 255], [255, 90, 120], [90, 220, 120], [190, 130, 255], [255, 140, 40],
  [60, 220, 210], [240, 110, 230], [170, 200, 60],
];

export function classColour(label) {
  return CLASS_COLOURS[(label - 1) % CLASS_COLOURS.length];
}

function offscreen(height, width, paint) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  const data = context.createImageData(width, height);
  paint(data.data);
  context.putImageData(data, 0, 0);
  return canvas;
}

/** The image [H, W, channels] through a window (low, high) of its values. */
export function greyImage(image, [low, high]) {
  const [height, width, channels] = image.shape;
  const scale = 255 / Math.max(high - low, 1e-9);
  return offscreen(height, width, (pixels) => {
    for (let i = 0; i < height * width; i += 1) {
      for (let c = 0; c < 3; c += 1) {
        pixels[4 * i + c] = (image.values[i * channels + (channels === 3 ? c : 0)] - low) * scale;
      }
      pixels[4 * i + 3] = 255;
    }
  });
}

/** Labels [H, W] as half-transparent colours; background (0) is clear. */
export function filledLabels(labels, opacity) {
  const [height, width] = labels.shape;
  return offscreen(height, width, (pixels) => {
    labels.values.forEach((label, i) => {
      if (label > 0) pixels.set([...classColour(label), 255 * opacity], 4 * i);
    });
  });
}

/** A map [H, W] as a heat map; `top` is the value of its strongest colour. */
export function heatMap(map, top, opacity) {
  const [height, width] = map.shape;
  return offscreen(height, width, (pixels) => {
    map.values.forEach((value, i) => {
      const t = Math.min(value / top, 1);
      pixels.set([255, 255 * Math.max(0, 2 * t - 1), 80 * t * t, 255 * opacity * Math.sqrt(t)], 4 * i);
    });
  });
}

/** The edges between pixels where `inside` changes, as a path in image coordinates. */
export function outline([height, width], inside) {
  const path = new Path2D();
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const here = inside(y * width + x);
      if (x + 1 < width && here !== inside(y * width + x + 1)) {
        path.moveTo(x + 1, y);
        path.lineTo(x + 1, y + 1);
      }
      if (y + 1 < height && here !== inside((y + 1) * width + x)) {
        path.moveTo(x, y + 1);
        path.lineTo(x + 1, y + 1);
      }
    }
  }
  return path;
}

/** A colour for a latent in prior standard deviations: blue below, red above, clear at the mean. */
export function latentColour(value) {
  const strength = Math.min(Math.abs(value) / 3, 1);
  const [r, g, b] = value < 0 ? [40, 110, 235] : [225, 60, 45];
  return `rgb(${r} ${g} ${b} / ${strength})`;
}
