"""TFDS builder of GENERATED neurites, the stand-in for SNEMI3D (Section 3.3)."""

from collections.abc import Iterator

import numpy as np
import tqdm

from hpunet_jax.data.instance_features import instance_features
from hpunet_jax.data.phantoms.neurites_examples import (
    BLOCKS,
    SIZE,
    SLICES,
    VERSION,
    phantom_examples,
)
from hpunet_jax.data.tensorflow import tfds

_DESCRIPTION = """
GENERATED images that look like electron micrographs of neurites, with the ids of all cells.

Nothing in them was ever under a microscope. They have the form of the data set snemi3d, smaller
and coarser: short stacks of related slices, cells of varied calibre parted by dark membranes
(background, 0), mitochondria, vesicles and noise. For learning how the software works and for
comparing methods on the spot; results say nothing about real micrographs.
"""


class NeuritesPhantom(tfds.core.GeneratorBasedBuilder):
    """Generated slices through neurites."""

    VERSION = tfds.core.Version(f"{VERSION}.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description=_DESCRIPTION,
            features=instance_features(SIZE),
            disable_shuffling=True,  # the pipeline shuffles; the test split keeps slices together
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        del dl_manager  # nothing is downloaded
        return {split: self._generate_examples(split) for split in BLOCKS}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, np.ndarray | str]]]:
        examples = phantom_examples(split)
        total = BLOCKS[split] * SLICES
        bar = tqdm.tqdm(examples, f"neurites_phantom {split}", total=total, unit="slice")
        yield from enumerate(bar)
