"""What a data set with instances looks like: images beside their instances, or classes and cars."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from hpunet_jax.figures import panels
from hpunet_jax.figures.gradings import gradings_figure
from hpunet_jax.figures.palettes import instance_palette, street_palette
from hpunet_jax.figures.panels import GAP, GROUP_GAP, MARGIN, TITLE, Sheet
from hpunet_jax.instances import renumber


def annotations_figure(examples: Mapping[str, np.ndarray], examples_per_row: int = 2) -> Figure:
    """Examples of any data set, each as an image and all that is known of it.

    Args:
      examples: `image` [B, H, W, channels] and one of: `masks` [B, H, W, G], drawn by
        `gradings_figure` with `captions`, texts [B], if there are any; `instances` [B, H, W];
        `semantic` and `cars` [B, H, W].
      examples_per_row: examples side by side.

    Returns:
      The figure, for `save_figure`.

    Raises:
      ValueError: if there are none of these annotations, or shapes that do not fit together.
    """
    images = np.asarray(examples["image"])
    if "masks" in examples:
        captions = list(examples.get("captions", ()))
        return gradings_figure(images, examples["masks"], examples_per_row, captions)
    names = [name for name in ("instances", "semantic", "cars") if name in examples]
    if not names:
        raise ValueError(
            f"the examples have {', '.join(examples)}: expected masks, instances, or semantic and "
            "cars."
        )
    for name in names:
        panels.check_stack(name, np.asarray(examples[name])[None], images, "[B, H, W]")
    columns = 1 + len(names)
    gaps = examples_per_row * (columns - 1) * GAP + (examples_per_row - 1) * GROUP_GAP + 2 * MARGIN
    cell = (panels.WIDTH - gaps) / (examples_per_row * columns)
    tall = cell * images.shape[1] / images.shape[2]
    rows = -(-len(images) // examples_per_row)

    sheet = Sheet(TITLE + rows * (tall + GAP) + MARGIN)
    for number, image in enumerate(images):
        row, place = divmod(number, examples_per_row)
        left = MARGIN + place * (columns * (cell + GAP) - GAP + GROUP_GAP)
        for column, name in enumerate(["image", *names]):
            if not row:
                middle = left + column * (cell + GAP) + cell / 2
                sheet.text(middle, TITLE - 0.11, name, fontsize=8)
            axes = sheet.panel(left + column * (cell + GAP), TITLE + row * (tall + GAP), cell, tall)
            if not column:
                panels.draw_image(axes, image)
            else:
                labels = np.asarray(examples[name][number])
                panels.draw_labels(axes, *_coloured(name, labels))
    return sheet.figure


def _coloured(name: str, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and their palette."""
    if name == "semantic":
        return labels, street_palette(1)
    numbered = renumber(labels)
    return numbered, instance_palette(int(numbered.max(initial=0)))
