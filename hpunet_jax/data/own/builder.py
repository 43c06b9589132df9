"""TFDS builder of own data, in the layout of the published LIDC crops (Appendix C).

What it looks like is read off the files: `load` checks them (`check`), builds the data set in
the hidden folder `.tfds` beside them, and finds it there the next time. Changed files are noticed
by their sizes and times, and the data set is built anew.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Generator, Iterator

import numpy as np
import tqdm
from google.protobuf import json_format

from hpunet_jax.data.building import build_aside
from hpunet_jax.data.crop_layout import Grader
from hpunet_jax.data.own.check import check
from hpunet_jax.data.own.description import NAME, read_description
from hpunet_jax.data.own.examples import fit, read_examples
from hpunet_jax.data.own.folder import PARTS, Part, find_images, find_parts
from hpunet_jax.data.tensorflow import tfds
from hpunet_jax.files import write_aside
from hpunet_jax.folders import check_no_pattern, used_alone
from hpunet_jax.io import Preparation, is_clutter
from hpunet_jax.io.preparation import AS_STORED
from hpunet_jax.labels import IGNORED

_MOST_PROBLEMS = 20  # shown when a data set is refused
_PREPARATION = tuple(field.name for field in dataclasses.fields(Preparation))
_FIELDS = ("name", "size", "channels", "bits", "graders", "num_classes", "foreground")
_FIELDS += ("instances", *_PREPARATION)


@dataclasses.dataclass
class OwnDataConfig(tfds.core.BuilderConfig):
    """What a data set looks like.

    Attributes:
      size: height and width of all images, to which they are cropped or padded; (): they have
        several sizes.
      channels: 1 or 3.
      bits: 8 or 16.
      graders: all graders.
      num_classes: number of classes in the masks.
      foreground: what a mask's 255 means, as for `classes_of`; 0: nobody has said so.
      instances: whether there are maps of instances in place of masks.
      window, percentiles, spacing, scale, hdf5: as in `Preparation`.
    """

    size: tuple[int, ...] = ()
    channels: int = 1
    bits: int = 8
    graders: tuple[Grader, ...] = ()
    num_classes: int = 0
    foreground: int = 0
    instances: bool = False
    window: tuple[float, ...] = ()
    percentiles: tuple[float, ...] = ()
    spacing: tuple[float, ...] = ()
    scale: float = 1.0
    hdf5: tuple[str, ...] = ()

    @property
    def preparation(self) -> Preparation:
        """How images are prepared."""
        return Preparation(**{name: getattr(self, name) for name in _PREPARATION})


class OwnData(tfds.core.GeneratorBasedBuilder):
    """Own images with the masks of any number of graders, or with maps of instances."""

    VERSION = tfds.core.Version("3.0.0")  # 2: EXIF orientation, palettes, few bits; 3: volumes
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Use hpunet_jax.data.own.builder.load."

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        if not isinstance(config, OwnDataConfig):
            raise ValueError(
                "own data is built from its folder by hpunet_jax.data.own.builder.load(folder); "
                "programs do so for configs with data.name='own_data' and data.dir=<folder>."
            )
        dtype = np.uint16 if config.bits == 16 else np.uint8
        size = config.size or (None, None)
        if config.instances:
            name, shape, kind = "instances", size, np.uint16
        else:
            name, shape, kind = "masks", (*size, len(config.graders)), np.uint8
        return self.dataset_info_from_configs(
            description=self.__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(*size, config.channels), dtype=dtype, encoding_format="png"
                    ),
                    name: tfds.features.Tensor(shape=shape, dtype=kind, encoding="zlib"),
                    "id": tfds.features.Text(),
                }
            ),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, np.ndarray | str]]]]:
        folder = dl_manager.manual_dir
        return {
            PARTS[name]: self._generate_examples(folder, part)
            for name, part in find_parts(folder).items()
        }

    def _generate_examples(
        self, folder: str | os.PathLike[str], part: Part
    ) -> Iterator[tuple[str, dict[str, np.ndarray | str]]]:
        config = self.builder_config
        description = read_description(folder, config.foreground or None)
        images, _ = find_images(part, description.file_ending)
        kind, ignored = ("instances", 0) if config.instances else ("masks", IGNORED)
        for files in tqdm.tqdm(images, f"own_data {part.name}", unit=" images"):
            for name, image, annotation in read_examples(
                part, files, config.graders, description, config.preparation
            ):
                size = config.size or image.shape[:2]
                yield (
                    name,
                    {
                        "image": fit(image, size, 0),
                        kind: fit(annotation, size, ignored),
                        "id": name,
                    },
                )


def load(
    folder: str | os.PathLike[str],
    size: tuple[int, ...] | None = None,
    bits: int | None = None,
    cache: str | os.PathLike[str] | None = None,
    foreground: int | None = None,
    preparation: Preparation = AS_STORED,
) -> OwnData:
    """Checks and builds a data set, unless that has been done before.

    Args:
      folder: holds train, val and test (or some of them), each with images and gt.
      size: height and width to crop or pad all images to (padding is ignored in the masks); None:
        each keeps its own.
      bits: 8 or 16, that all images must have; None: as most of them.
      cache: where the data set is built; None: the folder `.tfds` in `folder`.
      foreground: what a mask's 255 means, as for `check`.
      preparation: window and spacing.

    Returns:
      The builder, prepared. Its `builder_config` says what the data set looks like.

    Raises:
      FileNotFoundError: if there are no such folders.
      ValueError: if training could not use some file; up to 20 are named.
      OSError: if nothing can be written to `cache`.
    """
    folder = pathlib.Path(folder)
    cache = pathlib.Path(cache) if cache else folder / ".tfds"
    # Configs write () and 0 for None.
    size = (size[0], size[1]) if size else None
    bits, foreground = bits or None, foreground or None
    name = fingerprint(folder, size, bits, foreground, preparation)
    if (builder := _built(cache, name)) is not None:
        return builder
    config = _checked(folder, name, size, bits, foreground, preparation)
    with _alone(cache):
        if (builder := _built(cache, name)) is not None:  # by the one waited for
            return builder
        with write_aside(_note(cache, name)) as path:
            path.write_text(json.dumps({field: getattr(config, field) for field in _FIELDS}))
        tfds.disable_progress_bar()  # our generators show how far they are
        build_aside(lambda place: OwnData(data_dir=place, config=config), cache, folder)
        return OwnData(data_dir=cache, config=config)


@contextlib.contextmanager
def _alone(cache: pathlib.Path) -> Generator[None]:
    """One process builds, the others wait."""
    check_no_pattern(cache, "data.cache_dir")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = contextlib.ExitStack()
        lock.enter_context(used_alone(cache, wait=True))
    except OSError as error:
        raise type(error)(
            f"the data set is built in {cache}, which cannot be written ({error.strerror}): set "
            "data.cache_dir to another folder."
        ) from error
    with lock:
        yield


def _built(cache: pathlib.Path, name: str) -> OwnData | None:
    """The data set if it was built before."""
    try:
        fields = json.loads(_note(cache, name).read_text(encoding="utf-8"))
        fields = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        builder = OwnData(data_dir=cache, config=OwnDataConfig(**fields))
    except (OSError, ValueError, AttributeError, TypeError, json_format.ParseError):
        return None  # what is missing, damaged or of another version is written anew
    return builder if builder.is_prepared() else None


def _note(cache: pathlib.Path, name: str) -> pathlib.Path:
    """The file that says what a built data set looks like."""
    return cache / f"{name}.json"


def fingerprint(
    folder: str | os.PathLike[str],
    size: tuple[int, int] | None,
    bits: int | None,
    foreground: int | None = None,
    preparation: Preparation = AS_STORED,
) -> str:
    """A name for a folder's content: it changes with names, sizes and times of the files."""
    folder = pathlib.Path(folder)
    digest = hashlib.sha256(repr((size, bits, foreground, preparation)).encode())
    files = [path for part in find_parts(folder).values() for path in part.all_files()]
    if (folder / NAME).is_file():
        files.append(folder / NAME)
    for path in files:
        if not is_clutter(path.name):
            state = path.stat()
            digest.update(f"\n{path.relative_to(folder).as_posix()} {state.st_size} ".encode())
            digest.update(str(state.st_mtime_ns).encode())
    return digest.hexdigest()[:16]


def _checked(
    folder: pathlib.Path,
    name: str,
    size: tuple[int, int] | None,
    bits: int | None,
    foreground: int | None,
    preparation: Preparation,
) -> OwnDataConfig:
    report = check(folder, size, bits, foreground=foreground, preparation=preparation)
    if report.problems:
        shown = [f"  {problem.text}" for problem in report.problems[:_MOST_PROBLEMS]]
        raise ValueError(
            f"The data in {folder} has {len(report.problems)} problem(s):\n"
            + "\n".join(shown)
            + f"\nSee all with: hpunet check_data --dir={folder}"
        )
    return OwnDataConfig(
        name=name,
        size=report.size or (),
        channels=report.channels,
        bits=report.bits,
        graders=tuple(report.graders),
        num_classes=0 if report.instances else report.num_classes,
        foreground=foreground or 0,
        instances=report.instances,
        **dataclasses.asdict(preparation),
    )
