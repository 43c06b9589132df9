"""Small pictures of label maps for the report."""

import base64
import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from hpunet_jax.figures.palettes import neurite_palette, paint, paint_instances
from hpunet_jax.figures.panels import unit_image
from hpunet_jax.instances import renumber
from hpunet_jax.io import Preparation, name_of, read_slices
from hpunet_jax.io.listing import KNOWN, is_clutter, suffix_of
from hpunet_jax.io.preparation import WindowNeeded
from hpunet_jax.labels import IGNORED
from hpunet_jax.scoring.pairing import Case
from hpunet_jax.scoring.reading import read_case

MOST_SAMPLES = 8
_SIDE = 256  # greatest, in pixels
_TINT = 0.5  # of a label over its image
_FOR_THE_EYE = (1.0, 99.0)  # percentiles that become black and white where values need a window


class Picture(NamedTuple):
    """A picture in the report.

    Attributes:
      caption: what it shows.
      address: the picture itself, a data: address.
    """

    caption: str
    address: str


def case_pictures(
    case: Case,
    num_classes: int | None,
    foreground: int | None = None,
    image: pathlib.Path | None = None,
) -> list[Picture]:
    """The gradings and the first samples of an image; of a volume, the slice with most truth.

    Args:
      case: the files.
      num_classes: number of classes C; None: instances.
      foreground: as for `read_case`.
      image: the image that the maps are of, to lie below them; None: they lie on black.

    Returns:
      The image, if given, the gradings, and up to `MOST_SAMPLES` samples.

    Raises:
      ValueError: if the image cannot be read, or has another size than its maps; it names it.
      OSError: if a file cannot be read at all.
    """
    truth, samples = read_case(case, foreground)
    marked = [((maps != 0) & (maps != IGNORED)).sum(axis=(1, 2)) for maps in truth.values()]
    place = int(np.argmax(np.sum(marked, axis=0)))
    behind = None if image is None else _slice_of(image, place, next(iter(truth.values())).shape)
    found = [] if behind is None else [Picture("image", _address(behind))]
    groups = (("truth", truth), ("sample", dict(list(samples.items())[:MOST_SAMPLES])))
    for kind, maps in groups:
        for key, labels in maps.items():
            caption = key if key.startswith(kind) else f"{kind} {key}"
            caption = kind if len(maps) == 1 else caption
            found.append(Picture(caption, _address(_painted(labels[place], num_classes, behind))))
    return found


def find_pictures(folder: pathlib.Path, names: Sequence[str]) -> Mapping[str, pathlib.Path]:
    """The image files of some names in a folder, as `name_of` names them; others are left out."""
    found: dict[str, pathlib.Path] = {}
    for name in names:
        inside = (folder / name).parent
        for file in sorted(inside.iterdir()) if inside.is_dir() else ():
            kind = suffix_of(file) in KNOWN and not is_clutter(file.name)
            if kind and file.is_file() and name_of(file) == (folder / name).name:
                found.setdefault(name, file)
    return found


def _slice_of(path: pathlib.Path, place: int, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = read_slices(path).array
    except WindowNeeded:  # for the eye alone
        array = read_slices(path, Preparation(percentiles=_FOR_THE_EYE)).array
    if array.shape[:3] != shape:
        raise ValueError(
            f"{path} has {'x'.join(map(str, array.shape[:3]))} pixels, but its maps "
            f"{'x'.join(map(str, shape))}: expected the image that they are of."
        )
    return unit_image(array[place])


def _painted(labels: np.ndarray, num_classes: int | None, behind: np.ndarray | None) -> np.ndarray:
    if num_classes is None:
        labels = renumber(labels)
        colours = paint_instances(labels)
    else:
        colours = paint(labels, neurite_palette(num_classes - 1))
    if behind is None:
        return colours
    tint = np.where(labels != 0, _TINT, 0.0)[..., None]
    return (1 - tint) * behind + tint * colours


def _address(picture: np.ndarray) -> str:
    step = -(-max(picture.shape[:2]) // _SIDE)
    data = io.BytesIO()
    pixels = np.round(255 * picture[::step, ::step]).astype(np.uint8)
    Image.fromarray(pixels).save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode("ascii")
