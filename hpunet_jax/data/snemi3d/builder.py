"""TFDS builder of SNEMI3D (Section 3.3, Appendix C): 256x256 patches of neurites and their ids."""

import pathlib
from collections.abc import Iterator

import numpy as np
import tqdm

from hpunet_jax.data.instance_features import instance_features, patch_examples
from hpunet_jax.data.snemi3d.stacks import (
    PATCH,
    SPLITS,
    find_stacks,
    read_labels,
    read_volume,
)
from hpunet_jax.data.tensorflow import tfds

_CITATION = """
@article{kasthuri2015saturated,
  title={Saturated reconstruction of a volume of neocortex},
  author={Kasthuri, Narayanan and Hayworth, Kenneth Jeffrey and Berger, Daniel Raimund and others},
  journal={Cell}, volume={162}, number={3}, pages={648--661}, year={2015}
}
"""


class Snemi3d(tfds.core.GeneratorBasedBuilder):
    """Electron micrographs of mouse neocortex with the ids of all neurites.

    z 0-79 are for training, 80-89 for validation and 90-99 for testing: 1,280, 160 and 160 patches.
    """

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Place the challenge's train-input and train-labels, each a .tif stack or a .h5 file, "
        "anywhere in the manual directory."
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description=self.__doc__,
            citation=_CITATION,
            features=instance_features(PATCH),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, np.ndarray | str]]]]:
        volume_path, labels_path = find_stacks(pathlib.Path(dl_manager.manual_dir))
        volume, labels = read_volume(volume_path), read_labels(labels_path)
        return {split: self._generate_examples(volume, labels, split) for split in SPLITS}

    def _generate_examples(
        self, volume: np.ndarray, labels: np.ndarray, split: str
    ) -> Iterator[tuple[str, dict[str, np.ndarray | str]]]:
        for z in tqdm.tqdm(range(*SPLITS[split]), f"snemi3d {split}", unit=" slices"):
            image, instances = volume[z][..., None], labels[z]
            yield from patch_examples(image, instances, f"z{z:03d}", PATCH, PATCH, digits=4)
