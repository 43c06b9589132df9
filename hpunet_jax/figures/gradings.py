"""What a data set of several graders looks like: images beside each grader's segmentation."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from hpunet_jax.figures import panels
from hpunet_jax.figures.panels import GAP, GRADER_COLOURS, GROUP_GAP, MARGIN, TITLE, Sheet
from hpunet_jax.labels import IGNORED


def gradings_figure(
    images: np.ndarray,
    masks: np.ndarray,
    examples_per_row: int = 2,
    captions: Sequence[str] = (),
) -> Figure:
    """Examples of a data set, each as an image and what every grader drew on it.

    Args:
      images: [B, H, W, channels], uint8, uint16 or floating point in [0, 1].
      masks: integers [B, H, W, G]; 255 is ignored, a plane of nothing else was not annotated.
      examples_per_row: examples side by side.
      captions: a word about each image, written on it; may be empty.

    Returns:
      The figure, for `save_figure`.

    Raises:
      ValueError: for shapes that do not fit together.
    """
    images, gradings = np.asarray(images), np.moveaxis(np.asarray(masks), -1, 0)
    panels.check_stack("masks", gradings, images, "[B, H, W, G] (here with G in front)")
    num_images, height, width = images.shape[:3]
    columns = 1 + len(gradings)
    gaps = examples_per_row * (columns - 1) * GAP + (examples_per_row - 1) * GROUP_GAP + 2 * MARGIN
    cell = (panels.WIDTH - gaps) / (examples_per_row * columns)
    tall = cell * height / width
    rows = -(-num_images // examples_per_row)
    several_classes = bool(((gradings > 1) & (gradings != IGNORED)).any())

    sheet = Sheet(TITLE + rows * (tall + GAP) + MARGIN)
    for place in range(min(examples_per_row, num_images)):
        for column in range(columns):
            title = f"grader {column - 1}" if column else "image"
            left = _left(place, column, columns, cell)
            sheet.text(left + cell / 2, TITLE - 0.11, title, fontsize=8)
    for number, image in enumerate(images):
        row, place = divmod(number, examples_per_row)
        for column in range(columns):
            left, top = _left(place, column, columns, cell), TITLE + row * (tall + GAP)
            axes = sheet.panel(left, top, cell, tall)
            if not column:
                panels.draw_image(axes, image)
                if captions:
                    panels.note(axes, captions[number])
            elif (gradings[column - 1, number] == IGNORED).all():
                panels.draw_image(axes, image, fade=0.7)
                panels.note(axes, "not annotated", "#555555", "#ffffff99")
            else:
                colour = GRADER_COLOURS[(column - 1) % len(GRADER_COLOURS)]
                colours = GRADER_COLOURS if several_classes else (colour,)
                panels.draw_segmentation(axes, image, gradings[column - 1, number], colours)
    return sheet.figure


def _left(place: int, column: int, columns: int, cell: float) -> float:
    return MARGIN + place * (columns * (cell + GAP) - GAP + GROUP_GAP) + column * (cell + GAP)
