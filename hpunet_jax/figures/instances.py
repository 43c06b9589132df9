"""Figs. 4, 6 and 11-14: instances, their reconstruction, clustered samples, and samples."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.ndimage
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hpunet_jax.figures import panels
from hpunet_jax.figures.palettes import NO_LABEL, paint, paint_instances
from hpunet_jax.figures.panels import GAP, GROUP_GAP, LABEL, MARGIN, TITLE, Sheet

COLUMNS = ("image", "ground truth", "reconstruction", "instances")
_WIDE = 1.5  # images wider than this have their samples below, four in a row
_IN_A_ROW = 6
_LEGEND = 0.22
_LEGEND_COLUMNS = 8
_DETAIL = 200 / 512  # of the height: Fig. 6 enlarges 200x200 of 512x1024 pixels


def instance_figure(
    images: np.ndarray,
    labels: np.ndarray,
    reconstructions: np.ndarray,
    instances: np.ndarray,
    samples: np.ndarray,
    palette: np.ndarray,
    names: Sequence[str] | None = None,
    num_shown: int | None = None,
) -> Figure:
    """Each image with its labels, their reconstruction, the clustered instances, and samples.

    Images about as wide as high have all panels in one row; wide ones have their samples below,
    and if labels have names, a last row enlarges where the named classes of the samples differ
    most (different labels of cars are one class). Instances are numbered anew for each image: the
    colours of the clusters have nothing to do with those of the labels. They lie on black where
    the background is black, else over the image.

    Args:
      images: [B, H, W, channels], uint8, uint16 or floating point in [0, 1].
      labels: integers [B, H, W], the ground truth with its random instance labels; -1 and 255 are
        pixels without annotation.
      reconstructions: integers [B, H, W].
      instances: integers [B, H, W], the clusters; 0 is background.
      samples: integers [N, B, H, W].
      palette: float [labels, 3], of labels, reconstructions and samples.
      names: the names of the labels, for a legend; None leaves it out.
      num_shown: how many of the samples are shown; None shows one row of them.

    Returns:
      The figure, for `save_figure`.

    Raises:
      ValueError: for shapes that do not fit together.
    """
    images = np.asarray(images)
    if num_shown is None:
        num_shown = len(COLUMNS) if _is_wide(images) else _IN_A_ROW
    samples = panels.first_samples(np.asarray(samples), num_shown)
    panels.check_stack("samples", samples, images, "[N, B, H, W]")
    maps = {"labels": labels, "reconstructions": reconstructions, "instances": instances}
    for name, array in maps.items():
        panels.check_stack(name, np.asarray(array)[None], images, "[B, H, W] (here with 1 before)")

    places = _places(images, len(samples))
    legend = [] if names is None else _legend(names, palette, [labels, reconstructions, samples])
    rows = -(-len(legend) // _LEGEND_COLUMNS)
    detail = find_detail(samples, names) if places.below and names is not None else None
    detail_top = TITLE + len(images) * places.block
    detail_height = 0.0 if detail is None else TITLE + _detail_cell(places, len(samples))
    sheet = Sheet(detail_top + detail_height + MARGIN + rows * _LEGEND)
    for number, title in enumerate(COLUMNS):
        sheet.text(places.lead(number) + places.cell / 2, TITLE - 0.11, title)
    if not places.below:
        width = len(samples) * (places.cell + GAP) - GAP
        sheet.text(places.sample(0)[0] + width / 2, TITLE - 0.11, "samples")

    for number, image in enumerate(images):
        top = TITLE + number * places.block

        def panel(left, below=0.0, top=top):
            return sheet.panel(left, top + below, places.cell, places.tall)

        if places.below:
            height = places.block - GROUP_GAP - places.tall - GAP
            sheet.row_label(places.left, top + places.tall + GAP, height, "samples")
        panels.draw_image(panel(places.lead(0)), image)
        panels.draw_labels(panel(places.lead(1)), labels[number], palette)
        panels.draw_labels(panel(places.lead(2)), reconstructions[number], palette)
        behind = image if palette[0].any() else None
        _draw_instances(panel(places.lead(3)), instances[number], behind)
        for index, sample in enumerate(samples[:, number]):
            axes = panel(*places.sample(index))
            panels.draw_labels(axes, sample, palette)
            if detail is not None and detail.image == number:
                detail.draw_frame(axes)
    if detail is not None:
        painted = [paint(m[detail.image], palette) for m in (labels, *samples)]
        shown = [panels.unit_image(images[detail.image]), *painted]
        _draw_detail(sheet, places, detail_top, [detail.cut(picture) for picture in shown])
    _draw_legend(sheet, legend, sheet.height - rows * _LEGEND)
    return sheet.figure


class Detail(NamedTuple):
    """A square part of an image.

    Attributes:
      image: number of the image.
      top: its first row.
      left: its first column.
      size: its rows and columns.
    """

    image: int
    top: int
    left: int
    size: int

    def cut(self, picture: np.ndarray) -> np.ndarray:
        """The part of [H, W, ...]."""
        return picture[self.top : self.top + self.size, self.left : self.left + self.size]

    def draw_frame(self, axes: Axes) -> None:
        """Shows where it lies in the whole."""
        corner = (self.left - 0.5, self.top - 0.5)
        style: dict[str, Any] = {"fill": False, "edgecolor": "white", "linewidth": 1.0}
        axes.add_patch(Rectangle(corner, self.size, self.size, **style))


def find_detail(samples: np.ndarray, names: Sequence[str]) -> Detail:
    """The square, a share of the height, in which the classes of the samples differ most.

    Args:
      samples: integers [N, B, H, W].
      names: the class of each label; labels of the same name are the same class.

    Returns:
      The part of one of the images.
    """
    number_of_name = {name: number for number, name in enumerate(dict.fromkeys(names))}
    classes = np.array([number_of_name[name] for name in names])[samples]
    deviation = panels.standard_deviation(classes, None)
    size = max(1, round(_DETAIL * deviation.shape[1]))
    mean = scipy.ndimage.uniform_filter(deviation, (0, size, size))
    half = size // 2
    inside = mean[:, half : half + mean.shape[1] - size + 1, half : half + mean.shape[2] - size + 1]
    return Detail(*map(int, np.unravel_index(inside.argmax(), inside.shape)), size)


def _detail_cell(places: "_Places", num_samples: int) -> float:
    return (panels.WIDTH - MARGIN - places.left - (num_samples + 1) * GAP) / (num_samples + 2)


def _draw_detail(
    sheet: Sheet, places: "_Places", top: float, pictures: Sequence[np.ndarray]
) -> None:
    cell = _detail_cell(places, len(pictures) - 2)
    sheet.row_label(places.left, top + TITLE, cell, "detail")
    titles = ("image", "ground truth", *["sample"] * (len(pictures) - 2))
    for column, (title, picture) in enumerate(zip(titles, pictures, strict=True)):
        left = places.left + column * (cell + GAP)
        sheet.text(left + cell / 2, top + TITLE - 0.06, title, fontsize=7.5)
        axes = sheet.panel(left, top + TITLE, cell, cell)
        axes.imshow(picture, interpolation="nearest", aspect="auto")


def _draw_instances(axes: Axes, instances: np.ndarray, behind: np.ndarray | None) -> None:
    """Instances [H, W], in place of the background an image [H, W, channels] if there is one."""
    picture = paint_instances(instances)
    if behind is not None:
        grey = panels.unit_image(behind).mean(axis=-1, keepdims=True)
        picture = np.where(instances[..., None] == 0, 0.55 * grey, picture)
    axes.imshow(picture, interpolation="nearest", aspect="auto")
    count = len(np.unique(instances[instances != 0]))
    panels.note(axes, f"{count} instance{'' if count == 1 else 's'}")


class _Places(NamedTuple):
    """Lengths in inches: where panels begin, their size, and from one image to the next.

    Attributes:
      left: of the first panel.
      cell: width of a panel.
      tall: its height.
      block: from one image to the next.
      below: whether the samples stand below.
    """

    left: float
    cell: float
    tall: float
    block: float
    below: bool

    def lead(self, number: int) -> float:
        """The left side of a panel that is no sample."""
        return self.left + number * (self.cell + GAP)

    def sample(self, index: int) -> tuple[float, float]:
        """The left side of a sample, and how far it is below the first row."""
        if self.below:
            row, column = divmod(index, len(COLUMNS))
            return self.lead(column), (row + 1) * (self.tall + GAP)
        return self.lead(len(COLUMNS) + index) - GAP + GROUP_GAP, 0.0


def _is_wide(images: np.ndarray) -> bool:
    return images.shape[2] > _WIDE * images.shape[1]


def _places(images: np.ndarray, num_samples: int) -> _Places:
    height, width = images.shape[1:3]
    below = _is_wide(images)
    left = MARGIN + (LABEL if below else 0)
    columns = len(COLUMNS) + (0 if below else num_samples)
    gaps = (columns - 1) * GAP + (0 if below else GROUP_GAP - GAP)
    cell = (panels.WIDTH - MARGIN - left - gaps) / columns
    rows = 1 + (-(-num_samples // len(COLUMNS)) if below else 0)
    tall = cell * height / width
    block = rows * (tall + GAP) + (GROUP_GAP if below else GAP) - GAP
    return _Places(left, cell, tall, block, below)


def _legend(
    names: Sequence[str], palette: np.ndarray, maps: Sequence[np.ndarray]
) -> list[tuple[str, np.ndarray]]:
    """Names of the labels that occur, each with its colours [shades, 3]; others come last."""
    shown = set(np.unique(np.concatenate([np.unique(labels) for labels in maps])).tolist())
    colours: dict[str, list[np.ndarray]] = {}
    for label, name in enumerate(names):
        if label in shown:
            colours.setdefault(name, []).append(palette[label])
    if shown - set(range(len(palette))):
        colours["not annotated"] = [np.array(NO_LABEL)]
    return [(name, np.array(shades)) for name, shades in colours.items()]


def _draw_legend(sheet: Sheet, legend: list[tuple[str, np.ndarray]], top: float) -> None:
    step = (panels.WIDTH - 2 * MARGIN) / _LEGEND_COLUMNS
    for number, (name, shades) in enumerate(legend):
        row, column = divmod(number, _LEGEND_COLUMNS)
        left, upper = MARGIN + column * step, top + row * _LEGEND
        swatch = sheet.panel(left, upper + 0.03, 0.22, 0.13)
        swatch.imshow(shades[None], aspect="auto", interpolation="nearest")
        sheet.text(left + 0.27, upper + 0.13, name, ha="left", fontsize=7.5)
