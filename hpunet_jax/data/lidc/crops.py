"""LIDC (Sec. 3.2, App. C): the published crops as a TFDS data set.

The authors published their preprocessed 180x180 crops of LIDC-IDRI slices, each with the masks
of four graders: one folder, or tar.gz archive, for each of train, val and test.
"""

import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np
import tqdm

from hpunet_jax.data.crop_archives import Archive, Files, Folder
from hpunet_jax.data.crop_layout import GradedImage, find_graded_images
from hpunet_jax.data.lidc.cutting import SIZE
from hpunet_jax.data.lidc.lesions import GRADERS
from hpunet_jax.data.tensorflow import tfds
from hpunet_jax.io import decode_image
from hpunet_jax.labels import IGNORED

NUM_IMAGES = {"train": 8843, "val": 1993, "test": 1980}
_ADVICE = " The data set 'lidc_crops/any_count' accepts any number of images."
_SPLITS = {
    "train": tfds.Split("train"),
    "val": tfds.Split("validation"),
    "test": tfds.Split("test"),
}


@dataclasses.dataclass
class CropsConfig(tfds.core.BuilderConfig):
    """Whether the numbers of images must be the published ones.

    Attributes:
      any_count: accept any number of images, that some of the three parts are not there, and that
        a grader annotated none of the images of a folder: such a grader's masks are 255 everywhere,
        as in own data, and are neither drawn in training nor evaluated.
    """

    any_count: bool = False


class LidcCrops(tfds.core.GeneratorBasedBuilder):
    """The published LIDC crops with the masks of four graders."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [  # noqa: RUF012 (TFDS's interface)
        CropsConfig(name="published", description="Exactly the published numbers of images."),
        CropsConfig(name="any_count", description="Any number of images.", any_count=True),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Place the published archives train.tar.gz, val.tar.gz and test.tar.gz, or the folders "
        "train, val and test unpacked from them, in the manual directory, or in its subfolder "
        "lidc_crops. Each holds images/<patient>/z-<pos>_c<k>.png and "
        "gt/<patient>/z-<pos>_c<k>_l<0..3>.png."
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description=__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(SIZE, SIZE, 1), encoding_format="png"),
                    "masks": tfds.features.Image(
                        shape=(SIZE, SIZE, GRADERS), encoding_format="png"
                    ),
                    "id": tfds.features.Text(),
                }
            ),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, np.ndarray | str]]]]:
        any_count = self.builder_config.any_count
        scratch = pathlib.Path(self.data_dir)
        scratch.mkdir(parents=True, exist_ok=True)
        parts: dict[str, tuple[Files, list[GradedImage]]] = {}
        problems = []
        for part, place in _find_parts(pathlib.Path(dl_manager.manual_dir), any_count).items():
            try:
                files = Folder(place) if place.is_dir() else Archive(place, scratch)
            except ValueError as error:
                problems.append(f"  {place.name}: {error}")
                continue
            crops, found = check_crops(files, None if any_count else NUM_IMAGES[part], any_count)
            parts[part] = files, crops
            problems += [f"  {place.name}: {problem}" for problem in found]
        if problems:
            for files, _ in parts.values():
                files.close()
            raise ValueError(
                f"The LIDC crops in {dl_manager.manual_dir} have {len(problems)} problems:\n"
                + "\n".join(problems)
                + "\nDownload these files again, or unpack the archives again."
                + _ADVICE * (not any_count)
            )
        return {_SPLITS[part]: self._generate_examples(*found) for part, found in parts.items()}

    def _generate_examples(
        self, files: Files, crops: list[GradedImage]
    ) -> Iterator[tuple[str, dict[str, np.ndarray | str]]]:
        for crop in crops:
            masks = np.full((SIZE, SIZE, GRADERS), IGNORED, np.uint8)
            for grader, name in crop.masks.items():
                masks[..., int(grader)] = _read_mask(files, name)
            yield (
                crop.id,
                {
                    "image": _read_gray(files, crop.image)[..., None],
                    "masks": masks,
                    "id": crop.id,
                },
            )
        files.close()


def check_crops(
    files: Files, num_images: int | None = None, absent_graders: bool = False
) -> tuple[list[GradedImage], list[str]]:
    """Finds the crops of one part, and everything that is wrong with them.

    Args:
      files: the part's folder or archive.
      num_images: how many images it should have; None accepts any number but zero.
      absent_graders: whether a grader may have annotated none of the images of a folder.

    Returns:
      The crops sorted by id, and a sentence for each missing, misplaced or damaged file.
    """
    crops, problems = find_graded_images(files.names, range(GRADERS), absent_graders=absent_graders)
    if num_images is None and not crops:
        problems.append("There are no images with masks: expected files in 'images' and 'gt'.")
    images = {crop.image for crop in crops}
    if num_images not in (None, len(images)):
        problems.append(f"It has {len(images)} images with masks, expected {num_images}.")
    for crop in tqdm.tqdm(crops, f"Checking {files.path.name}", unit=" images"):
        readers = {crop.image: _read_gray, **dict.fromkeys(crop.masks.values(), _read_mask)}
        for name, read in readers.items():
            try:
                read(files, name)
            except ValueError as error:
                problems.append(str(error))
    return crops, problems


def _find_parts(manual_dir: pathlib.Path, any_count: bool) -> dict[str, pathlib.Path]:
    """The folder or archive of each part."""
    parts = {}
    for part in _SPLITS:
        places = [
            folder / f"{part}{suffix}"
            for folder in (manual_dir / "lidc_crops", manual_dir)
            for suffix in ("", ".tar.gz", ".tgz")
        ]
        place = next((place for place in places if place.exists()), None)
        if place is not None:
            parts[part] = place
    missing = [part for part in _SPLITS if part not in parts]
    if not parts or (missing and not any_count):
        raise FileNotFoundError(
            f"The LIDC crops are incomplete: there is neither a folder nor an archive (.tar.gz) "
            f"for {', '.join(missing)} in {manual_dir} or {manual_dir / 'lidc_crops'}. "
            + LidcCrops.MANUAL_DOWNLOAD_INSTRUCTIONS
        )
    return parts


def _read_gray(files: Files, name: str) -> np.ndarray:
    """Reads an image uint8 [180, 180]; errors name the file."""
    pixels = decode_image(files.read(name), name).array
    if (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]  # grey values, perhaps stored as colours
    if pixels.shape != (SIZE, SIZE) or pixels.dtype != np.uint8:
        raise ValueError(
            f"{name} is of the wrong kind: expected {SIZE}x{SIZE} grey values with 8 bits, "
            f"found {'x'.join(map(str, pixels.shape))} {pixels.dtype} values."
        )
    return pixels


def _read_mask(files: Files, name: str) -> np.ndarray:
    """Reads a mask of 0 and 255 as uint8 [180, 180] of 0 and 1."""
    pixels = _read_gray(files, name)
    if not ((pixels == 0) | (pixels == 255)).all():
        raise ValueError(f"{name} is no mask: expected only the values 0 and 255.")
    return pixels // 255
