"""LIDC (App. C), the published crops: their folder layout, which also serves own data.

  images/<any folders>/<name>.png        one image
  gt/<the same folders>/<name>_l<k>.png  what grader k drew on it

There may be any number of graders, and not every grader need have annotated every image. Some
folders may stand in front of `images` and `gt`, as long as they are the same for all files.
"""

import io
import pathlib
import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

_GRADER = re.compile(r"(?P<name>.+)_l(?P<grader>\d+)", re.DOTALL)
_SUFFIX = ".png"


class Crop(NamedTuple):
    """Names of the files of one image.

    Attributes:
      id: the image's name without `images/` and the suffix, e.g. '<patient>/z-105.0_c0'.
      image: the image file.
      masks: the mask files by grader, in ascending order.
    """

    id: str
    image: str
    masks: dict[int, str]


class Layout(NamedTuple):
    """What a list of file names holds.

    Attributes:
      crops: the images that have at least one mask, sorted by id.
      problems: a sentence for each file that is missing or out of place.
    """

    crops: list[Crop]
    problems: list[str]


def find_crops(names: Iterable[str], graders: Collection[int] | None = None) -> Layout:
    """Sorts file names into images and their graders' masks.

    Args:
      names: names of files, '/' between folders. Hidden files and those that stand neither in
        `images` nor in `gt` do not count.
      graders: the graders each image must have, and no others; None accepts any, but every
        image must have one.

    Returns:
      The images with their masks, and what is missing or out of place.
    """
    images: dict[str, str] = {}
    masks: dict[str, dict[int, str]] = {}
    roots: set[str] = set()
    problems = []
    for name in sorted(names):
        path = pathlib.PurePosixPath(name)
        kind = next((part for part in path.parts[:-1] if part in ("images", "gt")), None)
        if kind is None or any(part.startswith(".") for part in path.parts):
            continue
        depth = path.parts.index(kind)
        roots.add("/".join(path.parts[:depth]))
        stem = pathlib.PurePosixPath(*path.parts[depth + 1 :]).with_suffix("").as_posix()
        match = _GRADER.fullmatch(stem)
        if path.suffix != _SUFFIX:
            problems.append(f"{name} is out of place: expected a {_SUFFIX} file.")
        elif kind == "images":
            images[stem] = name
        elif match is None:
            problems.append(f"{name} is out of place: expected a name that ends in _l<number>.png.")
        else:
            masks.setdefault(match["name"], {})[int(match["grader"])] = name
    if len(roots) > 1:
        places = ", ".join(repr(root) for root in sorted(roots))
        problems.append(f"The folders 'images' and 'gt' stand in more than one folder: {places}.")
    root = f"{min(roots)}/" if roots and min(roots) else ""
    for stem in sorted(masks.keys() - images.keys()):
        problems.append(f"{root}images/{stem}{_SUFFIX} is missing; it has masks.")
    for stem, image in images.items():
        found = masks.get(stem, {})
        expected = found if graders is None else graders
        for grader in sorted(set(expected) - found.keys()):
            problems.append(f"{root}gt/{stem}_l{grader}{_SUFFIX} is missing.")
        for grader in sorted(found.keys() - set(expected)):
            problems.append(f"{found[grader]} is out of place: there should be no such grader.")
        if graders is None and not found:
            problems.append(f"{image} has no masks: expected {root}gt/{stem}_l<number>{_SUFFIX}.")
    crops = [
        Crop(stem, images[stem], dict(sorted(masks[stem].items())))
        for stem in sorted(images.keys() & masks.keys())
    ]
    return Layout(crops, problems)


def decode_image(data: bytes) -> np.ndarray:
    """Decodes an image file, verifying its checksums.

    Args:
      data: the content of a PNG file: grey with 1, 8 or 16 bits, or colour with 8 bits.

    Returns:
      Grey values [H, W], uint8 or uint16 (1 bit: 0 and 255), or colours uint8 [H, W, 3].

    Raises:
      ValueError: the file is damaged or of another kind.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.verify()
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            mode, bits = image.mode, data[24]  # the bit depth stands at byte 24 of a PNG
            pixels = np.array(image)
    except UnidentifiedImageError as error:
        raise ValueError("it is damaged or no PNG file") from error
    except Exception as error:  # Pillow raises many kinds for damaged files
        raise ValueError(f"it is damaged ({error})") from error
    if mode == "1":
        return pixels.astype(np.uint8) * 255
    if mode in ("L", "RGB") and bits == 8:
        return pixels
    if mode in ("I", "I;16") and bits == 16:
        return pixels.astype(np.uint16)
    raise ValueError(
        f"its pixels are of the kind {mode} with {bits} bits; expected grey values (1, 8 or "
        "16 bits) or RGB colours (8 bits), without palette or transparency"
    )
