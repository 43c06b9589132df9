"""What the network is fed: examples, and several random draws of training images from each."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from scipy.ndimage import binary_dilation
from skimage.segmentation import find_boundaries

from hpunet_jax.figures import panels
from hpunet_jax.figures.palettes import neurite_palette, paint, street_palette
from hpunet_jax.figures.panels import GAP, GRADER_COLOURS, GROUP_GAP, MARGIN, TITLE, Sheet

_WIDE = 1.5  # of images wider than this, fewer draws are shown, larger
_OPACITY = 0.55  # of labels over the image
_NOTE = 0.22
_STRIPED = 256  # pixels across, at least, of stripes
_FINE = 400  # pixels across; outlines of one pixel would get lost


def batch_figure(
    examples: Mapping[str, np.ndarray],
    images: np.ndarray,
    labels: np.ndarray,
    masks: np.ndarray,
    num_ids: int | None = None,
) -> Figure:
    """Each example with its annotations, and the training images drawn from it.

    On the example, the outlines of all annotations are shown: a colour for each grader, or the
    border of each instance. Of each draw, image and label are shown, the label over the image;
    stripes cover the pixels that take no part in the loss.

    Args:
      examples: `image` [B, H, W, channels] and `masks` [B, H, W, G], `instances` [B, H, W], or
        `semantic` and `cars` [B, H, W], as the data set gives them.
      images: [K, B, h, w, channels] in [0, 1], K draws; only as many channels are shown as the
        examples have.
      labels: integers [K, B, h, w].
      masks: [K, B, h, w], 0 for pixels that take no part in the loss.
      num_ids: number of labels that instances are mapped to, where there are instances.

    Returns:
      The figure, for `save_figure`.

    Raises:
      ValueError: for shapes that do not fit together.
    """
    sources = np.asarray(examples["image"])
    images, labels, masks = map(np.asarray, (images, labels, masks))
    if images.ndim != 5 or images.shape[1] != len(sources):
        raise ValueError(
            f"images have shape {images.shape}: expected [K, B, h, w, channels], K draws of each "
            f"of the {len(sources)} examples."
        )
    for name, maps in (("labels", labels), ("masks", masks)):
        if maps.shape != images.shape[:4]:
            raise ValueError(
                f"{name} have shape {maps.shape}: expected {images.shape[:4]}, as the images."
            )
    images = images[..., : sources.shape[-1]]
    wide = images.shape[3] > _WIDE * images.shape[2]
    shown = range(min(len(images), 1 if wide else 3))
    columns = 1 + 2 * len(shown)
    gaps = len(shown) * (GAP + GROUP_GAP) + 2 * MARGIN
    cell = (panels.WIDTH - gaps) / columns
    source_tall = cell * sources.shape[1] / sources.shape[2]
    tall = cell * images.shape[2] / images.shape[3]
    block = max(source_tall, tall) + GROUP_GAP

    sheet = Sheet(TITLE + len(sources) * block + _NOTE)
    line = TITLE - 0.11
    sheet.text(MARGIN + cell / 2, line, "example")
    for draw in shown:
        left = MARGIN + cell + GROUP_GAP + draw * (2 * cell + GAP + GROUP_GAP)
        number = f" {draw + 1}" if len(shown) > 1 else ""
        sheet.text(left + cell / 2, line, f"draw{number}: image")
        sheet.text(left + 1.5 * cell + GAP, line, "label")
    for example, source in enumerate(sources):
        top = TITLE + example * block
        middle = top + (block - GROUP_GAP) / 2
        axes = sheet.panel(MARGIN, middle - source_tall / 2, cell, source_tall)
        _draw_example(axes, source, _planes(examples, example))
        for draw in shown:
            left = MARGIN + cell + GROUP_GAP + draw * (2 * cell + GAP + GROUP_GAP)
            image, upper = images[draw, example], middle - tall / 2
            panels.draw_image(sheet.panel(left, upper, cell, tall), image)
            axes = sheet.panel(left + cell + GAP, upper, cell, tall)
            label, mask = labels[draw, example], masks[draw, example] > 0
            _draw_label(axes, image, label, mask, _palette(examples, num_ids))
    sheet.text(
        panels.WIDTH - MARGIN,
        sheet.height - 0.08,
        "striped: no part in the loss (padding, or to be ignored)",
        ha="right",
        fontsize=7.5,
    )
    return sheet.figure


def _planes(examples: Mapping[str, np.ndarray], number: int) -> list[np.ndarray]:
    """The annotations [H, W] of an example whose outlines are shown."""
    if "masks" in examples:
        return list(np.moveaxis(np.asarray(examples["masks"][number]), -1, 0))
    return [np.asarray(examples["instances" if "instances" in examples else "cars"][number])]


def _palette(examples: Mapping[str, np.ndarray], num_ids: int | None) -> np.ndarray | None:
    """Colours of labels; None for masks, whose classes are outlined."""
    if "masks" in examples or num_ids is None:
        return None
    return neurite_palette(num_ids) if "instances" in examples else street_palette(num_ids)


def _draw_example(axes: Axes, image: np.ndarray, planes: list[np.ndarray]) -> None:
    panels.draw_image(axes, image)
    for number, plane in enumerate(planes):
        outline = find_boundaries(plane, mode="inner")
        if image.shape[1] > _FINE:
            outline = binary_dilation(outline)
        _cover(axes, outline, GRADER_COLOURS[number % len(GRADER_COLOURS)], 0.9)


def _draw_label(
    axes: Axes, image: np.ndarray, label: np.ndarray, mask: np.ndarray, palette: np.ndarray | None
) -> None:
    if palette is None:
        panels.draw_segmentation(axes, image, label, GRADER_COLOURS)
    else:
        foreground = label != 0 if not palette[0].any() else np.ones_like(mask)
        opacity = np.where(foreground & mask, _OPACITY, 0.0)[..., None]
        mixed = (1 - opacity) * panels.unit_image(image) + opacity * paint(label, palette)
        axes.imshow(mixed, interpolation="nearest", aspect="auto")
    _stripe(axes, ~mask)


def _cover(axes: Axes, area: np.ndarray, colour: str, opacity: float) -> None:
    """Paints the pixels of an area, bool [H, W], of any resolution, over a whole panel's image."""
    painted = np.zeros((*area.shape, 4), np.float32)
    painted[area] = (*to_rgb(colour), opacity)
    extent = axes.images[0].get_extent()
    axes.imshow(painted, interpolation="nearest", aspect="auto", extent=extent)


def _stripe(axes: Axes, area: np.ndarray) -> None:
    """Covers an area, bool [H, W], with diagonal stripes."""
    factor = -(-_STRIPED // area.shape[1])  # stripes are as fine on coarse images
    area = area.repeat(factor, axis=0).repeat(factor, axis=1)
    y, x = np.indices(area.shape)
    dark = (y + x) // (area.shape[1] // 48) % 2 == 0
    _cover(axes, area & dark, "#b0b0b0", 1.0)
    _cover(axes, area & ~dark, "#606060", 1.0)
