"""TFDS builder of real micrographs with the profiles of all neurites (as of Section 3.3)."""

from collections.abc import Iterator, Sequence

import numpy as np
import tqdm

from hpunet_jax.data.instance_features import instance_features, patch_examples
from hpunet_jax.data.tensorflow import tfds
from hpunet_jax.data.vnc.sections import (
    PATCH,
    SPLITS,
    STRIDES,
    Section,
    find_sections,
    read_section,
)

_CITATION = """
@misc{gerhard2013segmented,
  title={Segmented anisotropic ssTEM dataset of neural tissue},
  author={Gerhard, Stephan and Funke, Jan and Martel, Julien and Cardona, Albert and Fetter, Rick},
  year={2013}, doi={10.6084/m9.figshare.856713}, note={CC BY-NC-SA 3.0}
}
"""


class Vnc(tfds.core.GeneratorBasedBuilder):
    """Electron micrographs of a fly larva's ventral nerve cord with the profiles of all neurites.

    At a quarter of the resolution, 18.4 nm a pixel. Sections 0-13 are for training, 14-16 for
    validation and 17-19 for testing: 686 patches that overlap by half, and 48 and 48 that do not.
    """

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Unpack the data set of doi 10.6084/m9.figshare.856713 in the manual directory."
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description=self.__doc__,
            citation=_CITATION,
            homepage="https://doi.org/10.6084/m9.figshare.856713",
            license="CC BY-NC-SA 3.0: not for commercial use; cite it.",
            features=instance_features(PATCH),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, np.ndarray | str]]]]:
        sections = find_sections(dl_manager.manual_dir)
        return {
            split: self._generate_examples(split, sections, numbers)
            for split, numbers in SPLITS.items()
        }

    def _generate_examples(
        self, split: str, sections: Sequence[Section], numbers: Sequence[int]
    ) -> Iterator[tuple[str, dict[str, np.ndarray | str]]]:
        for number in tqdm.tqdm(numbers, f"vnc {split}", unit=" sections"):
            image, instances = read_section(sections[number])
            where, stride = f"z{number:02d}", STRIDES[split]
            yield from patch_examples(image, instances, where, PATCH, stride, digits=3)
