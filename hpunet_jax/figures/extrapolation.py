"""Fig. 5: segmentations of what the model does not see."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpunet_jax.figures import panels
from hpunet_jax.figures.panels import GAP, GROUP_GAP, MARGIN, TITLE

COLUMNS = ("visible image", "ground truth", "reconstruction")


def extrapolation_figure(
    images: np.ndarray,
    labels: np.ndarray,
    visible: np.ndarray,
    reconstructions: np.ndarray,
    samples: np.ndarray,
    palette: np.ndarray,
    num_shown: int = 6,
) -> Figure:
    """Each visible image with its whole segmentation, the reconstruction of it, and samples.

    A dashed line parts what the model sees (image and segmentation) from what it fills in.

    Args:
      images: [B, H, W, channels], uint8, uint16 or floating point in [0, 1].
      labels: integers [B, H, W], the whole ground truth; -1 and 255 are pixels without annotation.
      visible: bool [B, H, W], what the model sees.
      reconstructions: integers [B, H, W].
      samples: integers [N, B, H, W].
      palette: float [labels, 3].
      num_shown: how many of the samples are shown.

    Returns:
      The figure, for `save_figure`.

    Raises:
      ValueError: for shapes that do not fit together.
    """
    images, samples = np.asarray(images), panels.first_samples(np.asarray(samples), num_shown)
    panels.check_stack("samples", samples, images, "[N, B, H, W]")
    for name, maps in (
        ("labels", labels),
        ("visible", visible),
        ("reconstructions", reconstructions),
    ):
        panels.check_stack(name, np.asarray(maps)[None], images, "[B, H, W] (here with 1 before)")

    columns = len(COLUMNS) + len(samples)
    cell = (panels.WIDTH - (columns - 2) * GAP - GROUP_GAP - 2 * MARGIN) / columns
    tall = cell * images.shape[1] / images.shape[2]
    lefts = [MARGIN + column * (cell + GAP) for column in range(columns)]
    lefts = [
        left + (column >= len(COLUMNS)) * (GROUP_GAP - GAP) for column, left in enumerate(lefts)
    ]

    sheet = panels.Sheet(TITLE + len(images) * (tall + 2 * GAP) - 2 * GAP + MARGIN)
    for left, title in zip(lefts, COLUMNS, strict=False):
        sheet.text(left + cell / 2, TITLE - 0.11, title)
    sheet.text((lefts[len(COLUMNS)] + lefts[-1] + cell) / 2, TITLE - 0.11, "samples")
    for number, image in enumerate(images):
        seen = np.asarray(visible[number], bool)
        row = [sheet.panel(left, TITLE + number * (tall + 2 * GAP), cell, tall) for left in lefts]
        shown = np.where(seen[..., None], panels.unit_image(image), 0.0)
        panels.draw_image(row[0], shown)
        maps = [labels[number], reconstructions[number], *samples[:, number]]
        for axes, one in zip(row[1:], maps, strict=True):
            panels.draw_labels(axes, one, palette)
        for axes in row:
            draw_line(axes, seen)
    return sheet.figure


def draw_line(axes: Axes, visible: np.ndarray) -> None:
    """A dashed line between the visible and the hidden part, bool [H, W]."""
    if visible.all() or not visible.any():
        return
    for colour, width, dashes in (("#000000", 2.4, "solid"), ("#ffffff", 1.2, (0, (4, 2.5)))):
        axes.contour(
            visible.astype(np.float32),
            levels=[0.5],
            colors=[colour],
            linewidths=width,
            linestyles=[dashes],
        )
