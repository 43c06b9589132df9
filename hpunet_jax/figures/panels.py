"""What Figs. 2 and 3 are made of: rows of small pictures with segmentations drawn over the image.

Figures are made without pyplot, so that nothing global is changed and no display is needed.
"""

import os
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke

from hpunet_jax.arguments import check_integer
from hpunet_jax.figures.palettes import paint
from hpunet_jax.files import write_aside
from hpunet_jax.labels import IGNORED

INK = "#222222"
GRADER_COLOURS = ("#4da3ff", "#ff9a3c", "#ff5f9e", "#6fd45f", "#b48cff", "#f4d03f", "#4fd6d0")
SAMPLE_COLOUR = "#ffe04a"
STD_MAP = "magma"
STD_MAX = 0.5  # of a quantity between 0 and 1

WIDTH = 10.0  # of every figure; all lengths are in inches
GAP = 0.035
GROUP_GAP = 0.16
MARGIN = 0.05
LABEL = 0.2  # for a row label of one line
TITLE = 0.3


class Sheet:
    """A figure of which every panel's place is given in inches from the top left."""

    def __init__(self, height: float):
        """Args:
        height: of the whole figure.
        """
        self.figure = Figure(figsize=(WIDTH, height), dpi=200, facecolor="white")
        self.height = height

    def panel(self, left: float, top: float, width: float, height: float) -> Axes:
        """An empty panel without ticks."""
        box = (left / WIDTH, 1 - (top + height) / self.height, width / WIDTH, height / self.height)
        axes = self.figure.add_axes(box)
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes

    def text(self, left: float, top: float, text: str, **options: Any) -> None:
        """Text whose baseline's middle is here, unless `options` say otherwise."""
        style: dict[str, Any] = {
            "ha": "center",
            "va": "baseline",
            "fontsize": 9,
            "color": INK,
            **options,
        }
        self.figure.text(left / WIDTH, 1 - top / self.height, text, **style)

    def row_label(self, right: float, top: float, height: float, text: str) -> None:
        """Text that reads upwards, left of a row of panels, small enough for its height."""
        lines = textwrap.wrap(text, max(8, int(height / 0.05)), break_long_words=False)
        longest = max(map(len, lines), default=1)
        self.text(
            right - 0.05,
            top + height / 2,
            "\n".join(lines),
            rotation=90,
            va="center",
            ha="right",
            fontsize=min(7.5, 72 * height / (0.6 * longest)),
            linespacing=1.15,
        )

    def strip(self, left: float, top: float, width: float, colour: str) -> None:
        """A line of colour above a column, saying whose it is."""
        self.panel(left, top - 0.06, width, 0.03).set_facecolor(colour)


def draw_image(axes: Axes, image: np.ndarray, fade: float = 0.0) -> None:
    """Shows an image.

    Args:
      axes: where.
      image: [H, W, channels], uint8, uint16 or floating point in [0, 1]; see `unit_image`.
      fade: how far towards white.
    """
    image = unit_image(image)
    axes.imshow(image + fade * (1 - image), interpolation="bilinear", aspect="auto")


def draw_segmentation(
    axes: Axes, image: np.ndarray, labels: np.ndarray, colours: Sequence[str]
) -> None:
    """Shows a segmentation as tinted, outlined areas over its image.

    Args:
      axes: where.
      image: as for `draw_image`.
      labels: integers [H, W]; 0 is background, 255 ignored pixels.
      colours: one for each foreground class; they are used again for further classes.
    """
    draw_image(axes, image)
    foreground = (labels != 0) & (labels != IGNORED)
    if not foreground.any():
        note(axes, "empty")
        return
    tint = np.zeros((*labels.shape, 4), np.float32)
    for label in np.unique(labels[foreground]):
        area = labels == label
        colour = colours[(int(label) - 1) % len(colours)]
        tint[area] = (*to_rgb(colour), 0.3)
        # A frame of background closes outlines that meet the border.
        padded = np.pad(area, 1).astype(np.float32)
        y, x = (np.arange(-1, size + 1) for size in labels.shape)
        axes.contour(x, y, padded, levels=[0.5], colors=[colour], linewidths=1.1)
    axes.imshow(tint, interpolation="nearest", aspect="auto")
    axes.set(xlim=(-0.5, labels.shape[1] - 0.5), ylim=(labels.shape[0] - 0.5, -0.5))


def draw_labels(axes: Axes, labels: np.ndarray, palette: np.ndarray) -> None:
    """Shows a segmentation as areas of colour, as in Fig. 4.

    Args:
      axes: where.
      labels: integers [H, W]; those without a colour are grey.
      palette: float [labels, 3].
    """
    axes.imshow(paint(labels, palette), interpolation="nearest", aspect="auto")


def draw_std(axes: Axes, std: np.ndarray) -> None:
    """Shows a standard deviation [H, W], from black (0) to bright (0.5, the greatest possible)."""
    axes.imshow(std, cmap=STD_MAP, vmin=0, vmax=STD_MAX, interpolation="nearest", aspect="auto")


def draw_std_key(sheet: Sheet, left: float, top: float, width: float) -> None:
    """A bar that explains the colours of `draw_std`, with its ends' values beside it."""
    bar = sheet.panel(left + 0.12, top, width - 0.34, 0.07)
    bar.imshow(np.linspace(0, 1, 256)[None], cmap=STD_MAP, aspect="auto")
    sheet.text(left, top + 0.08, "0", ha="left", fontsize=7)
    sheet.text(left + width, top + 0.08, f"{STD_MAX}", ha="right", fontsize=7)


def note(axes: Axes, text: str, colour: str = "#d8d8d8", behind: str = "#00000099") -> None:
    """A faint word at the bottom of a panel."""
    axes.text(
        0.5,
        0.04,
        text,
        transform=axes.transAxes,
        ha="center",
        va="bottom",
        fontsize=6.5,
        color=colour,
        path_effects=[Stroke(linewidth=1.2, foreground=behind), Normal()],
    )


def unit_image(image: np.ndarray) -> np.ndarray:
    """[H, W, channels] of any of the known types as float [H, W, 3] in [0, 1].

    Three channels are red, green and blue; of any other number the first is shown.
    """
    image = image if image.shape[2] == 3 else image[..., :1]
    if np.issubdtype(image.dtype, np.integer):
        image = image / np.iinfo(image.dtype).max
    return np.broadcast_to(np.clip(image, 0, 1), (*image.shape[:2], 3)).astype(np.float32)


def standard_deviation(samples: np.ndarray, probabilities: np.ndarray | None) -> np.ndarray:
    """Standard deviation over samples in each pixel, as in Fig. 3.

    Args:
      samples: integers [N, B, H, W].
      probabilities: [N, B, H, W, C], or None to take the labels as probabilities of 0 and 1.

    Returns:
      [B, H, W], between 0 and 0.5: that of the class whose probability deviates the most. With two
      classes both deviate alike.
    """
    if probabilities is not None:
        return probabilities[..., 1:].std(axis=0).max(axis=-1, initial=0)
    classes = np.unique(samples[samples != 0])
    deviations = [(samples == label).std(axis=0) for label in classes]
    return np.max(deviations, axis=0) if deviations else np.zeros(samples.shape[1:])


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Writes a figure as PNG (or what the path's suffix says), the same bytes for the same figure.

    Args:
      figure: the figure.
      path: the file; its folder is created if missing.
    """
    with write_aside(path) as aside:
        figure.savefig(aside, metadata={"Software": None} if aside.suffix == ".png" else None)


def first_samples(samples: np.ndarray, num_shown: int) -> np.ndarray:
    """The samples [N, ...] that are shown; raises a `ValueError` if there are none."""
    if not len(samples):
        raise ValueError("there are no samples to show: expected at least one.")
    return samples[: check_integer("num_shown", num_shown, 1)]


def check_stack(name: str, array: np.ndarray, images: np.ndarray, layout: str) -> None:
    """Checks that axes 1 to 3 of an array [?, B, H, W] are those of the images.

    Raises:
      ValueError: if they are not, naming the array and the layout it should have.
    """
    if np.shape(array)[1:4] != images.shape[:3]:
        raise ValueError(
            f"{name} have shape {np.shape(array)}: expected {layout} for images of shape "
            f"{images.shape}."
        )
