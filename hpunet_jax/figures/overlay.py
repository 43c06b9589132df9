"""Instances drawn over their image, with their numbers."""

import numpy as np
import scipy.ndimage
from PIL import Image, ImageDraw, ImageFont
from skimage.segmentation import find_boundaries

from hpunet_jax.figures.palettes import paint_instances
from hpunet_jax.figures.panels import unit_image

_OPACITY = 0.4
_LEAST_SIDE = 512  # smaller images are magnified
_TEXT = (7, 14)  # least and greatest size of a number, in pixels


def overlay(image: np.ndarray, instances: np.ndarray) -> np.ndarray:
    """The image with its instances tinted, outlined and numbered where there is room.

    Args:
      image: [H, W, channels], uint8, uint16 or floating point in [0, 1].
      instances: integers [H, W], 0 for background.

    Returns:
      uint8 [k H, k W, 3]; images whose longer side is below 512 pixels are magnified k times.

    Raises:
      ValueError: if the shapes do not fit.
    """
    if image.shape[:2] != instances.shape:
        raise ValueError(
            f"instances have shape {instances.shape}, but the image {image.shape}: expected [H, W] "
            "and [H, W, channels]."
        )
    factor = -(-_LEAST_SIDE // max(instances.shape)) if max(instances.shape) < _LEAST_SIDE else 1
    picture, instances = (
        array.repeat(factor, axis=0).repeat(factor, axis=1)
        for array in (unit_image(image), instances)
    )
    colours = paint_instances(instances)
    inside = instances != 0
    edge = find_boundaries(instances, mode="inner") & inside
    tinted = picture + np.where(edge, 1.0, _OPACITY * inside)[..., None] * (colours - picture)
    canvas = Image.fromarray(np.round(255 * tinted).astype(np.uint8))
    _draw_numbers(canvas, instances, edge)
    return np.asarray(canvas)


def _draw_numbers(canvas: Image.Image, instances: np.ndarray, edge: np.ndarray) -> None:
    """Writes each instance's number where it is thickest, if it fits there."""
    depth = scipy.ndimage.distance_transform_edt(np.pad((instances != 0) & ~edge, 1))[1:-1, 1:-1]
    ids, numbered = np.unique(instances, return_inverse=True)  # ids may be great, scipy counts
    numbers = np.flatnonzero(ids)
    numbered = numbered.reshape(instances.shape)
    centres = scipy.ndimage.maximum_position(depth, numbered, numbers) if len(numbers) else []
    draw = ImageDraw.Draw(canvas)
    for instance, (y, x) in zip(ids[numbers].tolist(), centres, strict=True):
        text = str(instance)
        size = min(_TEXT[1], int(2.4 * depth[y, x] / len(text)))
        if size >= _TEXT[0]:
            font = ImageFont.load_default(size)
            draw.text((x, y), text, "white", font, anchor="mm", stroke_width=1, stroke_fill="black")
