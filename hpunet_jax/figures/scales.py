"""Figs. 3 and 15: what the latent scales do: samples of all of them, and of one at a time."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from hpunet_jax.figures import panels
from hpunet_jax.figures.panels import (
    GAP,
    GRADER_COLOURS,
    GROUP_GAP,
    LABEL,
    MARGIN,
    SAMPLE_COLOUR,
    TITLE,
)


def scales_figure(
    images: np.ndarray,
    samples: Mapping[str, np.ndarray],
    probabilities: Mapping[str, np.ndarray] | None = None,
    num_shown: int = 8,
    palette: np.ndarray | None = None,
) -> Figure:
    """Each image with one row of samples, and their deviation, for each choice of latent scales.

    A row may have a single sample, such as the prior mean (Fig. 15 b): then without deviation.

    Args:
      images: [B, H, W, channels], uint8, uint16 or floating point in [0, 1].
      samples: {name of the row: integers [N, B, H, W]}, e.g. of `Model.sample` with all scales,
        with `scales=[0]` and with `scales=[model.num_latent_scales - 1]`.
      probabilities: {name of the row: [N, B, H, W, C]}, for the standard deviation; None takes that
        of the labels.
      num_shown: how many of the samples are shown; the deviation is over all.
      palette: float [labels, 3], to paint every label in its colour as in Fig. 15; None outlines
        foreground classes over the image as in Fig. 3.

    Returns:
      The figure, for `save_figure`.

    Raises:
      ValueError: for shapes that do not fit together, or no rows at all.
    """
    images = np.asarray(images)
    samples = {name: np.asarray(labels) for name, labels in samples.items()}
    if not samples:
        raise ValueError("there are no samples to show: expected at least one row of them.")
    for name, labels in samples.items():
        panels.check_stack(f"the samples of {name!r}", labels, images, "[N, B, H, W]")
        if probabilities is not None:
            panels.check_stack(
                f"the probabilities of {name!r}", probabilities[name], images, "[N, B, H, W, C]"
            )
    shown = {name: panels.first_samples(labels, num_shown) for name, labels in samples.items()}
    deviations = {
        name: panels.standard_deviation(
            labels, None if probabilities is None else probabilities[name]
        )
        for name, labels in samples.items()
    }
    several_classes = any((labels > 1).any() for labels in samples.values())
    colours = GRADER_COLOURS if several_classes else (SAMPLE_COLOUR,)

    num_rows, (num_images, height, width) = len(samples), images.shape[:3]
    columns = max(map(len, shown.values()))
    image_cells = min(num_rows, 3)
    label = 1.7 * LABEL  # two lines
    gaps = (columns + image_cells - 2) * GAP + 2 * GROUP_GAP + label + 2 * MARGIN
    cell = (panels.WIDTH - gaps) / (image_cells + columns + 1)
    tall = cell * height / width
    large = image_cells * (cell + GAP) - GAP
    at_samples = MARGIN + large + GROUP_GAP + label
    at_deviation = at_samples + columns * (cell + GAP) - GAP + GROUP_GAP
    block = num_rows * (tall + GAP) - GAP + GROUP_GAP

    sheet = panels.Sheet(TITLE + num_images * block + 0.12)
    sheet.text(MARGIN + large / 2, TITLE - 0.11, "image")
    sheet.text((at_samples + at_deviation - GROUP_GAP) / 2, TITLE - 0.11, "samples")
    sheet.text(at_deviation + cell / 2, TITLE - 0.11, "std. dev.")
    for image in range(num_images):
        top = TITLE + image * block
        axes = sheet.panel(MARGIN, top, large, large * height / width)
        panels.draw_image(axes, images[image])
        for row, (name, labels) in enumerate(samples.items()):
            row_top = top + row * (tall + GAP)
            sheet.row_label(at_samples, row_top, tall, name)
            for column in range(len(shown[name])):
                axes = sheet.panel(at_samples + column * (cell + GAP), row_top, cell, tall)
                if palette is None:
                    panels.draw_segmentation(axes, images[image], labels[column, image], colours)
                else:
                    panels.draw_labels(axes, labels[column, image], palette)
            if len(labels) > 1:
                axes = sheet.panel(at_deviation, row_top, cell, tall)
                panels.draw_std(axes, deviations[name][image])
    panels.draw_std_key(sheet, at_deviation, sheet.height - 0.17, cell)
    return sheet.figure
