"""LIDC (App. C), the published crops: their folder layout, which also serves own data.

  images/<any folders>/<name>.png        one image
  gt/<the same folders>/<name>_l<k>.png  what grader k drew on it

The published crops are PNG, own data may have other suffixes. There may be any number of graders,
and not every grader need have annotated every image. Some folders may stand in front of `images`
and `gt`, as long as they are the same for all files.
"""

import pathlib
import posixpath
import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from hpunet_jax.io import is_clutter

_GRADER = re.compile(r"(?P<name>.+)_l(?P<grader>\d+)", re.DOTALL)
_SUFFIX = ".png"  # of the published crops, and in messages


class GradedImage(NamedTuple):
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
      images: the images that have at least one mask, sorted by id.
      problems: a sentence for each file that is missing or out of place.
    """

    images: list[GradedImage]
    problems: list[str]


def find_graded_images(
    names: Iterable[str],
    graders: Collection[int] | None = None,
    suffixes: Collection[str] = (_SUFFIX,),
    absent_graders: bool = False,
) -> Layout:
    """Sorts file names into images and their graders' masks.

    Args:
      names: names of files, '/' between folders. Clutter (`is_clutter`: hidden files, Thumbs.db
        and the like) and files that stand neither in `images` nor in `gt` do not count.
      graders: the graders each image must have, and no others; None accepts any, but every
        image must have one.
      suffixes: of images and masks, in small letters; capitals in names do not matter.
      absent_graders: whether some of `graders` may have annotated none of the images of a folder.

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
        if kind is None or any(is_clutter(part) for part in path.parts):
            continue
        depth = path.parts.index(kind)
        roots.add("/".join(path.parts[:depth]))
        stem = pathlib.PurePosixPath(*path.parts[depth + 1 :]).with_suffix("").as_posix()
        match = _GRADER.fullmatch(stem)
        if path.suffix.lower() not in suffixes:
            expected = " or ".join(suffixes)
            problems.append(f"{name} is out of place: expected a {expected} file.")
        elif kind == "images":
            if stem in images:
                problems.append(f"{name} and {images[stem]} differ in their suffix only.")
            images[stem] = name
        elif match is None:
            problems.append(f"{name} is out of place: expected a name that ends in _l<number>.png.")
        else:
            of_image, grader = masks.setdefault(match["name"], {}), int(match["grader"])
            if grader in of_image:
                problems.append(f"{name} and {of_image[grader]} are of the same grader.")
            of_image[grader] = name
    if len(roots) > 1:
        places = ", ".join(repr(root) for root in sorted(roots))
        problems.append(f"The folders 'images' and 'gt' stand in more than one folder: {places}.")
    root = f"{min(roots)}/" if roots and min(roots) else ""
    for stem in sorted(masks.keys() - images.keys()):
        problems.append(f"{root}images/{stem}{_SUFFIX} is missing; it has masks.")
    present: dict[str, set[int]] = defaultdict(set)  # graders by folder
    for stem, found in masks.items():
        present[posixpath.dirname(stem)] |= found.keys()
    for stem, image in images.items():
        found = masks.get(stem, {})
        accepted = set(found) if graders is None else set(graders)
        expected = accepted & present[posixpath.dirname(stem)] if absent_graders else accepted
        for grader in sorted(expected - found.keys()):
            problems.append(f"{root}gt/{stem}_l{grader}{_SUFFIX} is missing.")
        for grader in sorted(found.keys() - accepted):
            problems.append(
                f"{found[grader]} is out of place: there should be no such grader, only "
                f"{', '.join(map(str, sorted(accepted)))}. Own data may have any graders."
            )
        if not expected:
            problems.append(f"{image} has no masks: expected {root}gt/{stem}_l<number>{_SUFFIX}.")
    graded = [
        GradedImage(stem, images[stem], dict(sorted(masks[stem].items())))
        for stem in sorted(images.keys() & masks.keys())
    ]
    return Layout(graded, problems)
