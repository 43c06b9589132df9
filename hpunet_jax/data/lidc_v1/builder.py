"""LIDC "v1" as a TFDS data set: 15,096 slices of 128x128, each with the masks of four graders."""

import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np
import tqdm

from hpunet_jax.data.lidc.lesions import GRADERS
from hpunet_jax.data.lidc_v1.files import HDF5, PICKLES, SIZE, Slices
from hpunet_jax.data.tensorflow import tfds
from hpunet_jax.io import is_clutter

NUM_IMAGES = 15_096
_SPLITS = {"train": "train", "val": "validation", "test": "test"}


@dataclasses.dataclass
class SlicesConfig(tfds.core.BuilderConfig):
    """Whether the number of slices must be the published one.

    Attributes:
      any_count: accept any number of slices.
    """

    any_count: bool = False


class LidcV1(tfds.core.GeneratorBasedBuilder):
    """LIDC-IDRI's slices as most papers since 2020 use them, with the masks of four graders."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [  # noqa: RUF012 (TFDS's interface)
        SlicesConfig(name="published", description="Exactly the published number of slices."),
        SlicesConfig(name="any_count", description="Any number of slices.", any_count=True),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Place data_lidc.pickle, or data_lidc.hdf5 made of it, in the folder; any name with the "
        f"suffix {', '.join((*PICKLES, *HDF5))} will do, if there is only one."
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description=__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(SIZE, SIZE, 1), dtype=np.uint16, encoding_format="png"
                    ),
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
        slices = Slices(_find_file(pathlib.Path(dl_manager.manual_dir)))
        counts = slices.counts()
        number = sum(counts.values())
        if not self.builder_config.any_count and number != NUM_IMAGES:
            raise ValueError(
                f"{slices.path} has {number:,} slices, expected {NUM_IMAGES:,}: it may be cut "
                "short. The data set 'lidc_v1/any_count' accepts any number of slices."
            )
        if empty := [part for part, count in counts.items() if not count]:
            raise ValueError(
                f"{slices.path} has too few patients for a split: nothing is left for {empty[0]}."
            )
        return {_SPLITS[part]: self._generate_examples(slices, part) for part in counts}

    def _generate_examples(
        self, slices: Slices, part: str
    ) -> Iterator[tuple[str, dict[str, np.ndarray | str]]]:
        total = slices.counts()[part]
        for one in tqdm.tqdm(slices.read(part), f"lidc_v1 {part}", total, unit=" images"):
            image = one.image[..., None]
            yield one.name, {"image": image, "masks": one.masks, "id": one.name}


def _find_file(folder: pathlib.Path) -> pathlib.Path:
    """The one file of slices in the folder, or in its subfolder lidc_v1."""
    for place in (folder / "lidc_v1", folder):
        files = sorted(place.iterdir()) if place.is_dir() else []
        files = [file for file in files if not is_clutter(file.name)]
        files = [file for file in files if file.suffix.lower() in (*PICKLES, *HDF5)]
        if len(files) > 1:
            raise ValueError(
                f"{place} holds {files[0].name} and {files[1].name}: leave one, from which "
                "lidc_v1 is to be built."
            )
        if files:
            return files[0]
    raise FileNotFoundError(f"{folder} holds no slices. {LidcV1.MANUAL_DOWNLOAD_INSTRUCTIONS}")
