"""Which file is a grading, and which a sample, of which image: by the names in two folders.

A folder may hold its maps in one of four forms, with folders above the names or not:

  one         <name>.png                         one map of each image
  suffix      <name>_0.png, <name>_l1.png ...    of graders, or of samples
  folder      <grader>/<name>.png                a folder for each grader, or each sample
  per_image   <name>/<anything>.png              a folder for each image

They are told apart by the names: those of the truth are those of the samples. Where several forms
agree, the first of the list is meant; but `_l<k>`, as in own data, always is a grader, and folders
that are all numbered (0, grader_1, sample-2) are graders or samples. Of what
`hpunet sample` and `hpunet segment` wrote, the maps alone are read: `<name>/sample_<k>` and
`<name>_instances`.
"""

import os
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from hpunet_jax.io.listing import KNOWN, name_of, suffix_of
from hpunet_jax.io.walk import list_files

FORMS = ("one", "suffix", "folder", "per_image")
_NUMBERED = re.compile(r"(.+?)[_-](?:l|s|g|sample|grader)?[_-]?(\d+)", re.IGNORECASE)
_GRADER = re.compile(r".+_l\d+")
_NUMBERED_FOLDER = re.compile(
    r"(grader|rater|reader|expert|observer|annotator|sample|seed|run|[lsgr])?[ _-]?\d+/.+",
    re.IGNORECASE,
)
_INSTANCES = "_instances"  # of `segment`, which writes pictures beside them
_SAMPLE = re.compile(r".+/sample_\d+")  # of `sample`, likewise
_SHOWN = 3  # files that a message names

Key = tuple[str, str]  # of an image, and of a grader or sample


class Case(NamedTuple):
    """The files of one image.

    Attributes:
      name: the image's.
      truth: {grader: file}.
      samples: {sample: file}, as many for all images.
    """

    name: str
    truth: Mapping[str, pathlib.Path]
    samples: Mapping[str, pathlib.Path]


class Pairing(NamedTuple):
    """What two folders hold.

    Attributes:
      cases: by name; at least one.
      graders: all graders, sorted.
      num_samples: samples of each image.
      truth_form: one of `FORMS`.
      samples_form: one of `FORMS`.
    """

    cases: list[Case]
    graders: list[str]
    num_samples: int
    truth_form: str
    samples_form: str

    def note(self) -> str:
        """A sentence for people, who can see whether they were understood."""
        graders = f"{len(self.graders)} grader(s) ({self.truth_form})"
        samples = f"{self.num_samples} sample(s) of each ({self.samples_form})"
        return f"{len(self.cases):,} images, {graders}, {samples}"


def pair(
    truth: str | os.PathLike[str],
    samples: str | os.PathLike[str],
    truth_form: str | None = None,
    samples_form: str | None = None,
) -> Pairing:
    """Pairs the files of two folders, or two files.

    Args:
      truth: folder of gradings, or one file.
      samples: folder of samples, or one file.
      truth_form: one of `FORMS`; None: the one that fits.
      samples_form: likewise.

    Returns:
      The pairing.

    Raises:
      FileNotFoundError: if there is no such folder, or no label map in it.
      ValueError: if a truth has no samples or the reverse, or images have different numbers of
        samples; the message names a file.
    """
    truth, samples = pathlib.Path(truth).expanduser(), pathlib.Path(samples).expanduser()
    of_truth, of_samples = _files(truth, "--truth"), _files(samples, "--samples")
    if truth.is_file() and samples.is_file():
        case = Case(name_of(truth), {"0": truth}, {"0": samples})
        return Pairing([case], ["0"], 1, "one", "one")
    best: tuple[float, str, str] | None = None
    for one in [truth_form] if truth_form else _likely(of_truth):
        for other in [samples_form] if samples_form else _likely(of_samples, graders=False):
            a, b = _names(of_truth, one), _names(of_samples, other)
            fits = len(a & b) / max(len(a | b), 1)
            if fits and (best is None or fits > best[0]):
                best = fits, one, other
    if best is None:
        raise ValueError(
            f"no name in {samples} is that of a truth: {truth} holds {_some(of_truth)}, {samples} "
            f"holds {_some(of_samples)}. Samples are called as their truth, or <name>_0 ..., or "
            "lie in a folder for each sample, or for each image."
        )
    _, truth_form, samples_form = best
    return _paired(_by_name(of_truth, truth_form), _by_name(of_samples, samples_form), best[1:])


def _paired(
    truth: dict[str, dict[str, pathlib.Path]],
    samples: dict[str, dict[str, pathlib.Path]],
    forms: tuple[str, str],
) -> Pairing:
    if lonely := sorted(truth.keys() - samples.keys()):
        files = [next(iter(truth[name].values())) for name in lonely]
        raise ValueError(_lonely(files, "no samples", "remove it, or predict it"))
    if lonely := sorted(samples.keys() - truth.keys()):
        files = [next(iter(samples[name].values())) for name in lonely]
        raise ValueError(_lonely(files, "no truth", "remove it, or add its truth"))
    cases = [Case(name, truth[name], samples[name]) for name in sorted(truth, key=_natural)]
    most = max(cases, key=lambda case: len(case.samples))
    for case in cases:
        if len(case.samples) < len(most.samples):
            missing = next(key for key in most.samples if key not in case.samples)
            file = next(iter(case.samples.values()))
            raise ValueError(
                f"{case.name} has {len(case.samples)} sample(s) ({file.name} ...), but {most.name} "
                f"has {len(most.samples)}: sample {missing!r} is missing. All images must have as "
                "many."
            )
    graders = sorted({grader for case in cases for grader in case.truth}, key=_natural)
    return Pairing(cases, graders, len(most.samples), *forms)


def _files(path: pathlib.Path, flag: str) -> dict[str, pathlib.Path]:
    """The label maps below a folder by their names, with folders but without suffixes."""
    if path.is_file():
        return {name_of(path): path}
    if not path.is_dir():
        raise FileNotFoundError(f"{flag}={path} does not exist: give a folder of label maps.")
    found: dict[str, pathlib.Path] = {}
    for file in list_files(path):
        if suffix_of(file) not in KNOWN:
            continue
        name = file.relative_to(path).with_name(name_of(file)).as_posix()
        if name in found:
            raise ValueError(
                f"{file} and {found[name].name} differ in their suffix only: remove one of them."
            )
        found[name] = file
    maps = {n.removesuffix(_INSTANCES): f for n, f in found.items() if n.endswith(_INSTANCES)}
    samples = {n: f for n, f in found.items() if _SAMPLE.fullmatch(n)}
    found = maps or samples or found
    if not found:
        kinds = ", ".join(KNOWN)
        raise FileNotFoundError(f"{flag}={path} holds no label maps ({kinds}).")
    return found


def _likely(files: Mapping[str, pathlib.Path], graders: bool = True) -> list[str]:
    """The forms, the likeliest first."""
    first = []
    if graders and all(_GRADER.fullmatch(name) for name in files):
        first.append("suffix")
    if all(_NUMBERED_FOLDER.fullmatch(name) for name in files):
        first.append("folder")
    return [*first, *FORMS]


def _one(name: str) -> Key | None:
    return name, "0"


def _suffix(name: str) -> Key | None:
    match = _NUMBERED.fullmatch(name)
    return (match[1], str(int(match[2]))) if match else None


def _folder(name: str) -> Key | None:
    first, slash, rest = name.partition("/")
    return (rest, first) if slash else None


def _per_image(name: str) -> Key | None:
    image, slash, last = name.rpartition("/")
    return (image, last) if slash else None


_KEYS: Mapping[str, Callable[[str], Key | None]] = {
    "one": _one,
    "suffix": _suffix,
    "folder": _folder,
    "per_image": _per_image,
}


def _names(files: Mapping[str, pathlib.Path], form: str) -> set[str]:
    """The names of the images if all files have the form; else none."""
    keys = [_KEYS[form](name) for name in files]
    return set() if None in keys else {key[0] for key in keys if key}


def _by_name(files: Mapping[str, pathlib.Path], form: str) -> dict[str, dict[str, pathlib.Path]]:
    found: dict[str, dict[str, pathlib.Path]] = {}
    for name in sorted(files, key=_natural):
        if (key := _KEYS[form](name)) is None:
            continue
        of_image = found.setdefault(key[0], {})
        if key[1] in of_image:
            raise ValueError(
                f"{files[name]} and {of_image[key[1]].name} are both number {key[1]} of {key[0]}: "
                "rename one of them."
            )
        of_image[key[1]] = files[name]
    return found


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts 2 before 10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)
    ]


def _lonely(files: list[pathlib.Path], what: str, do: str) -> str:
    more = f" (nor have {len(files) - 1:,} more)" if len(files) > 1 else ""
    return f"{files[0]} has {what}{more}: {do}."


def _some(files: Mapping[str, pathlib.Path]) -> str:
    names = ", ".join(file.name for file in list(files.values())[:_SHOWN])
    return names + (", ..." if len(files) > _SHOWN else "")
