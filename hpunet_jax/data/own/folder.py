"""Own data in the layout of the published LIDC crops (Appendix C): which files there are.

  <dir>/<train|val|test>/images/<name>.png        an image of any format that hpunet_jax/io reads
  <dir>/<train|val|test>/gt/<name>_l<k>.png       what grader k drew: the class, 255 = ignore
  <dir>/<train|val|test>/gt/<grader>/<name>.png   likewise
  <dir>/<train|val|test>/instances/<name>.png     in place of gt: the instances' ids, 0 = background

A volume is one file, or a folder of DICOM files, and so are its masks. Graders may be any numbers
and names, and an image needs at least one of them. nnU-Net's folders are read, too:

  <dir>/imagesTr/<case>_0000.nii.gz  <dir>/labelsTr/<case>.nii.gz  and likewise imagesTs, labelsTs
"""

import dataclasses
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping

from hpunet_jax.data.crop_archives import Folder
from hpunet_jax.data.crop_layout import GradedImage, find_graded_images, whose
from hpunet_jax.io import SUFFIXES, is_clutter
from hpunet_jax.io.listing import MEDICAL, is_dicom, split_suffix
from hpunet_jax.io.walk import walk

PARTS = {"train": "train", "val": "validation", "test": "test"}  # folder: split
GRADED, INSTANCES = "gt", "instances"
_INNER = ("images", GRADED, INSTANCES)  # the folders of a part

_NNUNET = {"train": ("imagesTr", "labelsTr"), "test": ("imagesTs", "labelsTs")}
_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")
_VOXELS = (".raw", ".zraw")  # of a MetaImage whose header is `.mhd`
_SERIES = "/"  # at the end of the name of a folder with a DICOM series


@dataclasses.dataclass(frozen=True)
class Part:
    """The files of a part of a data set.

    Attributes:
      name: train, val or test.
      root: the data set.
      files: each image and mask by its name in the layout; `images/ct/` is a DICOM series.
      kind: `GRADED` or `INSTANCES`.
      lonely: a sentence for each file that has no partner, and is not among `files`.
    """

    name: str
    root: pathlib.Path
    files: Mapping[str, pathlib.Path]
    kind: str = GRADED
    lonely: tuple[str, ...] = ()

    def shown(self, name: str) -> str:
        """Where a file lies in the data set, for messages."""
        return self.files[name].relative_to(self.root).as_posix()

    def all_files(self) -> Iterator[pathlib.Path]:
        """The files on the disk, also those of a series, and the voxels of a MetaImage."""
        for name, path in self.files.items():
            yield from sorted(path.iterdir()) if name.endswith(_SERIES) else [path]
            voxels = [path.with_suffix(suffix) for suffix in _VOXELS]
            yield from (one for one in voxels if path.suffix == ".mhd" and one.is_file())


def find_parts(folder: str | os.PathLike[str]) -> dict[str, Part]:
    """The parts of a data set that are there.

    Args:
      folder: holds at least one of the folders train, val and test, or nnU-Net's imagesTr.

    Returns:
      The parts by name.

    Raises:
      FileNotFoundError: if there is none.
      ValueError: if there are graders and instances, or images of several channels; or files
        cannot be listed (`walk.walk`).
    """
    folder = pathlib.Path(folder)
    parts = {part: _part(folder, part) for part in PARTS if (folder / part).is_dir()}
    if not parts:
        parts = {
            part: _nnunet_part(folder, part, *names)
            for part, names in _NNUNET.items()
            if all((folder / name).is_dir() for name in names)
        }
    if not parts:
        raise FileNotFoundError(
            f"{folder} has none of the folders {', '.join(PARTS)}; expected images in "
            f"{folder / 'train' / 'images'} and masks in {folder / 'train' / GRADED}, or instances "
            f"in {folder / 'train' / INSTANCES}, and likewise for val and test; or nnU-Net's "
            "imagesTr and labelsTr."
        )
    kinds = {part.kind: part.name for part in parts.values()}
    if len(kinds) > 1:
        raise ValueError(
            f"{folder} has masks of graders in {kinds[GRADED]}/{GRADED} and instances in "
            f"{kinds[INSTANCES]}/{INSTANCES}: expected one kind in all parts."
        )
    return parts


def find_others(folder: str | os.PathLike[str]) -> list[str]:
    """A sentence for each folder that is not read: it may be one that is called differently."""
    folder = pathlib.Path(folder)
    known = [*PARTS]
    if not any((folder / part).is_dir() for part in PARTS):
        pairs = [pair for pair in _NNUNET.values() if all((folder / one).is_dir() for one in pair)]
        known = [name for pair in pairs for name in pair]
    others = sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.is_dir() and entry.name not in known and not is_clutter(entry.name)
    )
    partners = {one: other for pair in _NNUNET.values() for one, other in (pair, pair[::-1])}
    sentences = [
        f"{name} is not read: there is no {partners[name]}."
        if name in partners and known != [*PARTS]
        else _not_read(name, name, PARTS)
        for name in others
    ]
    for part in (name for name in PARTS if name in known and (folder / name).is_dir()):
        inner = sorted(entry.name for entry in (folder / part).iterdir() if entry.is_dir())
        sentences += [
            _not_read(f"{part}/{name}", name, _INNER)
            for name in inner
            if not is_clutter(name) and not _has_inner(folder / part / name)
        ]
    return sentences


def _has_inner(folder: pathlib.Path) -> bool:
    """Whether a folder is one that is read, or has one below it."""
    return any(place.name in _INNER for place, _ in walk(folder))


def _not_read(shown: str, name: str, known: Iterable[str]) -> str:
    meant = [one for one in known if name.lower().startswith(one)]
    hint = f" Rename it to {meant[0]} if that is meant." if meant else ""
    return f"{shown} is not read: the folders are called {', '.join(known)}.{hint}"


def find_images(part: Part, file_ending: str = "") -> tuple[list[GradedImage], list[str]]:
    """The images of a part with their masks, and a sentence for each file out of place.

    Args:
      part: the part.
      file_ending: the only suffix of images and masks; "": any that can be read.
    """
    suffixes = (file_ending,) if file_ending else (*SUFFIXES, *MEDICAL)
    layout = find_graded_images(part.files, suffixes=(*suffixes, _SERIES), folder=part.kind)
    problems = [*part.lonely, *(f"{part.name}/{problem}" for problem in layout.problems)]
    if not layout.images:
        problems.append(f"{part.name} has no image with a mask.")
    return layout.images, problems


def _part(root: pathlib.Path, name: str) -> Part:
    folder = Folder(root / name)
    files: dict[str, pathlib.Path] = {}
    others = {*SUFFIXES, *MEDICAL} - {".dcm"}
    for file in folder.names:
        path = folder.path / file
        suffix = split_suffix(file)[1]
        if _is_voxels(path):
            continue
        inner = pathlib.PurePosixPath(file).parent.as_posix()
        alone = inner.rpartition("/")[2] in _INNER
        if not alone and suffix not in others and is_dicom(path):
            files[f"{inner}{_SERIES}"] = path.parent
        else:
            files[file] = path
    kinds = {kind for kind in (GRADED, INSTANCES) if _has(files, kind)}
    if len(kinds) > 1:
        raise ValueError(
            f"{root / name} has a folder {GRADED} of graders' masks and one {INSTANCES} of "
            "instances: expected one of them."
        )
    return Part(name, root, files, kinds.pop() if kinds else GRADED)


def _has(files: Mapping[str, pathlib.Path], kind: str) -> bool:
    """Whether there is a file below a folder of that name."""
    return any(f"/{kind}/" in f"/{name}" for name in files)


def _nnunet_part(root: pathlib.Path, name: str, images: str, labels: str) -> Part:
    cases: dict[str, pathlib.Path] = {}
    for path in _files_in(root / images):
        stem, suffix = split_suffix(path.name)
        match = _CHANNEL.fullmatch(stem)
        if match is None:
            raise ValueError(f"{path} has no channel in its name: expected <case>_0000{suffix}.")
        if int(match["channel"]):
            raise ValueError(
                f"{path} is a further channel of {match['case']}: one channel is read, or RGB in "
                "one file; move the others elsewhere."
            )
        cases[f"{match['case']}{suffix}"] = path
    drawn = {path.name: path for path in _files_in(root / labels)}
    known = {split_suffix(file)[0] for file in cases}
    of_case = {file: whose(split_suffix(file)[0], known, any_layout=True)[0] for file in drawn}
    labelled = set(of_case.values())
    lonely = [
        f"{images}/{path.name} has no labels: expected {labels}/{file}."
        for file, path in cases.items()
        if split_suffix(file)[0] not in labelled
    ]
    for file in drawn:
        stem, suffix = split_suffix(file)
        if of_case[file] not in known:
            lonely.append(f"{labels}/{file} has no image: expected {images}/{stem}_0000{suffix}.")
    files = {f"images/{f}": p for f, p in cases.items() if split_suffix(f)[0] in labelled}
    files |= {f"{GRADED}/{f}": p for f, p in drawn.items() if of_case[f] in known}
    return Part(name, root, files, lonely=tuple(lonely))


def _files_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """The files in a folder, without those in folders below."""
    place, names = next(walk(folder))
    return [place / name for name in names if not _is_voxels(place / name)]


def _is_voxels(path: pathlib.Path) -> bool:
    """Whether a file holds the voxels of a MetaImage."""
    return path.suffix.lower() in _VOXELS and path.with_suffix(".mhd").is_file()
