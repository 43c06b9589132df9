"""TFDS builder of GENERATED street scenes, the stand-in for Cityscapes (Section 3.4)."""

from collections.abc import Iterator

import numpy as np
import tqdm

from hpunet_jax.data.phantoms.streets_drawing import SIZE
from hpunet_jax.data.phantoms.streets_examples import SCENES, VERSION, phantom_examples
from hpunet_jax.data.tensorflow import tfds

_DESCRIPTION = """
GENERATED street scenes with Cityscapes' classes and the cars told apart: drawings, no photographs.

They have the form of the data set cityscapes, much smaller: overlapping cars at all distances on
streets with sidewalks, facades, trees, poles and people. Whether a paved strip is road or sidewalk
and whether a large vehicle is a bus or a truck was tossed up, as the real annotations are ambiguous
there. For learning how the software works and for comparing methods on the spot; results say
nothing about real streets.
"""


class StreetsPhantom(tfds.core.GeneratorBasedBuilder):
    """Generated street scenes."""

    VERSION = tfds.core.Version(f"{VERSION}.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        def ids(dtype):
            return tfds.features.Tensor(shape=SIZE, dtype=dtype, encoding="zlib")

        return self.dataset_info_from_configs(
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(*SIZE, 3), encoding_format="png"),
                    "semantic": ids(np.uint8),
                    "cars": ids(np.uint16),
                    "id": tfds.features.Text(),
                }
            ),
            disable_shuffling=True,  # the pipeline shuffles
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        del dl_manager  # nothing is downloaded
        return {split: self._generate_examples(split) for split in SCENES}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, np.ndarray | str]]]:
        examples = phantom_examples(split)
        bar = tqdm.tqdm(examples, f"streets_phantom {split}", total=SCENES[split], unit="scene")
        yield from enumerate(bar)
