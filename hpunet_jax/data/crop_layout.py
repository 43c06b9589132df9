"""LIDC (App. C), the published crops: their folder layout, which also serves own data.

  images/<any folders>/<name>.png        one image
  gt/<the same folders>/<name>_l<k>.png  what grader k drew on it

The published crops are PNG, own data may have other suffixes. There may be any number of graders,
and not every grader need have annotated every image. Some folders may stand in front of `images`
and `gt`, as long as they are the same for all files. Own data may also say who drew a mask by a
folder, or have one mask for each image:

  gt/<grader>/<the same folders>/<name>.png
  gt/<the same folders>/<name>.png
"""

import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from hpunet_jax.io.listing import is_clutter, split_suffix

_GRADER = re.compile(r"(?P<name>.+)_l(?P<grader>\d+)", re.DOTALL)
_SUFFIX = ".png"  # of the published crops, and in messages

Grader = int | str
"""The number behind `_l`, or the name of a folder; numbers, too, where that is one."""


class GradedImage(NamedTuple):
    """Names of the files of one image.

    Attributes:
      id: the image's name without `images/` and the suffix, e.g. '<patient>/z-105.0_c0'.
      image: the image file.
      masks: the mask files by grader, in the order of `in_order`.
    """

    id: str
    image: str
    masks: dict[Grader, str]


class Layout(NamedTuple):
    """What a list of file names holds.

    Attributes:
      images: the images that have at least one mask, sorted by id.
      problems: a sentence for each file that is missing or out of place.
    """

    images: list[GradedImage]
    problems: list[str]


def in_order(graders: Iterable[Grader]) -> list[Grader]:
    """Graders without duplicates: numbers first, then names."""
    return sorted(set(graders), key=lambda grader: (isinstance(grader, str), grader))


def find_graded_images(
    names: Iterable[str],
    graders: Collection[int] | None = None,
    suffixes: Collection[str] = (_SUFFIX,),
    absent_graders: bool = False,
    folder: str = "gt",
) -> Layout:
    """Sorts file names into images and their graders' masks.

    Args:
      names: names of files, '/' between folders, and at the end of a folder that is one image.
        Clutter (`is_clutter`: hidden files, Thumbs.db and the like) and files that stand neither in
        `images` nor in `gt` do not count.
      graders: the graders each image must have, and no others; None accepts any, but every
        image must have one.
      suffixes: of images and masks, in small letters; capitals in names do not matter.
      absent_graders: whether some of `graders` may have annotated none of the images of a folder.
      folder: the one beside `images`.

    Returns:
      The images with their masks, and what is missing or out of place.
    """
    images: dict[str, str] = {}
    drawn: dict[str, str] = {}  # files of masks by their names without suffix
    masks: dict[str, dict[Grader, str]] = {}
    roots: set[str] = set()
    problems = []
    for name in sorted(names):
        parts = name.rstrip("/").split("/")
        kind = next((part for part in parts[:-1] if part in ("images", folder)), None)
        if kind is None or any(is_clutter(part) for part in parts):
            continue
        depth = parts.index(kind)
        roots.add("/".join(parts[:depth]))
        stem, suffix = split_suffix("/".join(name.split("/")[depth + 1 :]))
        stem = unicodedata.normalize("NFC", stem)  # systems write an umlaut in two ways
        if suffix not in suffixes:
            expected = " or ".join(one for one in suffixes if one != "/")
            problems.append(f"{name} is out of place: expected a {expected} file.")
            continue
        found = images if kind == "images" else drawn
        if stem in found:
            problems.append(f"{name} and {found[stem]} differ in their suffix only.")
        found[stem] = name
    for stem, name in drawn.items():
        image, grader = (stem, 0) if folder != "gt" else whose(stem, images, graders is None)
        if image is None:
            problems.append(f"{name} is out of place: expected a name that ends in _l<number>.png.")
            continue
        of_image = masks.setdefault(image, {})
        if grader in of_image:
            problems.append(f"{name} and {of_image[grader]} are of the same grader.")
        of_image[grader] = name
    if len(roots) > 1:
        places = ", ".join(repr(root) for root in sorted(roots))
        problems.append(f"The folders 'images' and 'gt' stand in more than one folder: {places}.")
    root = f"{min(roots)}/" if roots and min(roots) else ""
    for stem in sorted(masks.keys() - images.keys()):
        problems.append(f"{root}images/{stem}{_SUFFIX} is missing; it has masks.")
    present: dict[str, set[Grader]] = defaultdict(set)  # graders by folder
    for stem, found in masks.items():
        present[posixpath.dirname(stem)] |= found.keys()
    for stem, image in images.items():
        found = masks.get(stem, {})
        accepted = set(found) if graders is None else set(graders)
        expected = accepted & present[posixpath.dirname(stem)] if absent_graders else accepted
        for grader in in_order(expected - found.keys()):
            problems.append(f"{root}gt/{stem}_l{grader}{_SUFFIX} is missing.")
        for grader in in_order(found.keys() - accepted):
            problems.append(
                f"{found[grader]} is out of place: there should be no such grader, only "
                f"{', '.join(map(str, sorted(accepted)))}. Own data may have any graders."
            )
        if not expected:
            mark = "_l<number>" if folder == "gt" else ""
            problems.append(f"{image} has no masks: expected {root}{folder}/{stem}{mark}{_SUFFIX}.")
    graded = [
        GradedImage(stem, images[stem], {grader: masks[stem][grader] for grader in found})
        for stem in sorted(images.keys() & masks.keys())
        for found in [in_order(masks[stem])]
    ]
    return Layout(graded, problems)


def whose(stem: str, images: Collection[str], any_layout: bool) -> tuple[str | None, Grader]:
    """The image that a mask belongs to by its name, and its grader; None: the name says neither.

    Args:
      stem: the mask's name without suffix.
      images: the images' names without suffix.
      any_layout: whether graders may be folders, or nobody be named, who is grader 0 then.
    """
    match = _GRADER.fullmatch(stem)
    if match and (match["name"] in images or not any_layout):
        return match["name"], int(match["grader"])
    if any_layout:
        if stem in images:
            return stem, 0
        grader, _, image = stem.partition("/")
        if image in images:
            return image, int(grader) if grader.isdecimal() else grader
    return (match["name"], int(match["grader"])) if match else (None, 0)
