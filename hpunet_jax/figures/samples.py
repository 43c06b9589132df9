"""Fig. 2: images, their gradings, the gradings' reconstructions, and samples."""

from typing import NamedTuple

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
    Sheet,
)
from hpunet_jax.labels import IGNORED


def sample_figure(
    images: np.ndarray,
    masks: np.ndarray,
    reconstructions: np.ndarray,
    samples: np.ndarray,
    probabilities: np.ndarray | None = None,
    num_shown: int = 8,
) -> Figure:
    """Each image with its gradings over their reconstructions, samples and their deviation.

    With two classes every grader has a colour of his own; with more, every class has.

    Args:
      images: [B, H, W, channels], uint8, uint16 or floating point in [0, 1].
      masks: integers [B, H, W, G]; 255 is ignored, a plane of nothing else was not annotated.
      reconstructions: integers [G, B, H, W].
      samples: integers [N, B, H, W].
      probabilities: [N, B, H, W, C], for the standard deviation; None takes that of the labels.
      num_shown: how many of the samples are shown; the deviation is over all.

    Returns:
      The figure, for `save_figure`.

    Raises:
      ValueError: for shapes that do not fit together.
    """
    images, samples = np.asarray(images), np.asarray(samples)
    reconstructions = np.asarray(reconstructions)
    gradings = np.moveaxis(np.asarray(masks), -1, 0)
    panels.check_stack("masks", gradings, images, "[B, H, W, G] (here with G in front)")
    panels.check_stack("samples", samples, images, "[N, B, H, W]")
    if reconstructions.shape != gradings.shape:
        raise ValueError(
            f"reconstructions have shape {reconstructions.shape}: expected {gradings.shape}, "
            "[G, B, H, W], one for each grading."
        )
    if probabilities is not None:
        panels.check_stack("probabilities", probabilities, images, "[N, B, H, W, C]")
    deviation = panels.standard_deviation(samples, probabilities)

    shown = panels.first_samples(samples, num_shown)
    by_class = any(
        ((labels > 1) & (labels != IGNORED)).any() for labels in (gradings, reconstructions, shown)
    )

    places = _places(images, len(gradings), len(shown))
    sheet = Sheet(TITLE + len(images) * places.block + 0.12)
    _draw_titles(sheet, places, len(gradings), len(samples), by_class)
    for number, image in enumerate(images):
        top = TITLE + number * places.block
        picture = sheet.panel(MARGIN, top, places.large, places.large_tall)
        panels.draw_image(picture, image)
        _draw_gradings(
            sheet, places, top, image, gradings[:, number], reconstructions[:, number], by_class
        )
        _draw_samples(sheet, places, top, image, shown[:, number], by_class)
        last = sheet.panel(places.deviation, top, places.large, places.large_tall)
        panels.draw_std(last, deviation[number])
    panels.draw_std_key(sheet, places.deviation, sheet.height - 0.17, places.large)
    return sheet.figure


class _Places(NamedTuple):
    """Lengths in inches: sizes of small and large panels, and where each group begins."""

    cell: float
    tall: float
    large: float
    large_tall: float
    graders: float
    samples: float
    deviation: float
    block: float  # from one image to the next


def _places(images: np.ndarray, num_graders: int, num_shown: int) -> _Places:
    """The widest panels that fit the page; image and deviation are two rows and columns large."""
    sample_columns = -(-num_shown // 2)
    cells = 2 + num_graders + sample_columns + 2
    gaps = (cells - 4) * GAP + 3 * GROUP_GAP + LABEL + 2 * MARGIN
    cell = (panels.WIDTH - gaps) / cells
    tall = cell * images.shape[1] / images.shape[2]
    large, large_tall = 2 * cell + GAP, 2 * tall + GAP
    graders = MARGIN + large + GROUP_GAP + LABEL
    samples = graders + num_graders * (cell + GAP) - GAP + GROUP_GAP
    deviation = samples + sample_columns * (cell + GAP) - GAP + GROUP_GAP
    block = large_tall + GROUP_GAP
    return _Places(cell, tall, large, large_tall, graders, samples, deviation, block)


def _draw_titles(
    sheet: Sheet, places: _Places, num_graders: int, num_samples: int, by_class: bool
) -> None:
    line = TITLE - 0.11
    sheet.text(MARGIN + places.large / 2, line, "image")
    for grader in range(num_graders):
        left = places.graders + grader * (places.cell + GAP)
        sheet.text(left + places.cell / 2, line, f"grader {grader}")
        if not by_class:
            sheet.strip(left, TITLE, places.cell, _colours(grader, by_class)[0])
    width = places.deviation - GROUP_GAP - places.samples
    sheet.text(places.samples + width / 2, line, "samples")
    if not by_class:
        sheet.strip(places.samples, TITLE, width, SAMPLE_COLOUR)
    sheet.text(places.deviation + places.large / 2, line, f"std. dev. of {num_samples} samples")


def _draw_gradings(
    sheet: Sheet,
    places: _Places,
    top: float,
    image: np.ndarray,
    gradings: np.ndarray,
    reconstructions: np.ndarray,
    by_class: bool,
) -> None:
    """Gradings [G, H, W] over their reconstructions [G, H, W]."""
    rows = (top, top + places.tall + GAP)
    for row, label in zip(rows, ("grading", "reconstruction"), strict=True):
        sheet.row_label(places.graders, row, places.tall, label)
    for grader, pair in enumerate(zip(gradings, reconstructions, strict=True)):
        left = places.graders + grader * (places.cell + GAP)
        upper, lower = (sheet.panel(left, row, places.cell, places.tall) for row in rows)
        if (pair[0] == IGNORED).all():
            panels.draw_image(upper, image, fade=0.7)
            panels.draw_image(lower, image, fade=0.7)
            panels.note(upper, "not annotated", "#555555", "#ffffff99")
            continue
        for axes, labels in zip((upper, lower), pair, strict=True):
            panels.draw_segmentation(axes, image, labels, _colours(grader, by_class))


def _draw_samples(
    sheet: Sheet,
    places: _Places,
    top: float,
    image: np.ndarray,
    samples: np.ndarray,
    by_class: bool,
) -> None:
    """Samples [N, H, W] in two rows."""
    columns = -(-len(samples) // 2)
    colours = GRADER_COLOURS if by_class else (SAMPLE_COLOUR,)
    for number, labels in enumerate(samples):
        row, column = divmod(number, columns)
        left = places.samples + column * (places.cell + GAP)
        axes = sheet.panel(left, top + row * (places.tall + GAP), places.cell, places.tall)
        panels.draw_segmentation(axes, image, labels, colours)


def _colours(grader: int, by_class: bool) -> tuple[str, ...]:
    if by_class:
        return GRADER_COLOURS
    return (GRADER_COLOURS[grader % len(GRADER_COLOURS)],)
