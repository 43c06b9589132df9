"""TFDS builder of Cityscapes (Section 3.4, Appendix C): half-resolution scenes with cars."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import tqdm

from hpunet_jax.data.cityscapes.files import (
    HALF,
    Frame,
    check_counts,
    find_frames,
    read_annotation,
    read_image,
)
from hpunet_jax.data.tensorflow import tfds

_CITATION = """
@inproceedings{cordts2016cityscapes,
  title={The Cityscapes Dataset for Semantic Urban Scene Understanding},
  author={Cordts, Marius and Omran, Mohamed and Ramos, Sebastian and Rehfeld, Timo and others},
  booktitle={CVPR}, pages={3213--3223}, year={2016}
}
"""


@dataclasses.dataclass
class CityscapesConfig(tfds.core.BuilderConfig):
    """Whether the numbers of images must be the official ones.

    Attributes:
      any_count: accept any number of images, and splits without any.
    """

    any_count: bool = False


class Cityscapes(tfds.core.GeneratorBasedBuilder):
    """Street scenes at half resolution with 19 classes and the cars told apart.

    The official validation set is the test split; Darmstadt, Mönchengladbach and Ulm of the
    official training set are the validation split.
    """

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [  # noqa: RUF012 (TFDS's interface)
        CityscapesConfig(name="fine", description="Exactly the official numbers of images."),
        CityscapesConfig(name="any_count", description="Any number of images.", any_count=True),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Unpack leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip of "
        "https://www.cityscapes-dataset.com in the manual directory."
    )

    def _info(self) -> tfds.core.DatasetInfo:
        def ids(dtype):
            return tfds.features.Tensor(shape=HALF, dtype=dtype, encoding="zlib")

        return self.dataset_info_from_configs(
            description=self.__doc__,
            citation=_CITATION,
            homepage="https://www.cityscapes-dataset.com",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(*HALF, 3), encoding_format="png"),
                    "semantic": ids(np.uint8),
                    "cars": ids(np.uint16),
                    "id": tfds.features.Text(),
                }
            ),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, np.ndarray | str]]]]:
        frames, problems = find_frames(dl_manager.manual_dir)
        if not self.builder_config.any_count:
            problems += check_counts(frames)
        elif not any(frames.values()):
            problems.append("There are no images at all.")
        if problems:
            raise ValueError(
                f"Cityscapes in {dl_manager.manual_dir} has {len(problems)} problems:\n  "
                + "\n  ".join(problems)
                + "\nDownload and unpack it again. The data set 'cityscapes/any_count' accepts any "
                "number of images."
            )
        return {
            split: self._generate_examples(split, found) for split, found in frames.items() if found
        }

    def _generate_examples(
        self, split: str, frames: Sequence[Frame]
    ) -> Iterator[tuple[str, dict[str, np.ndarray | str]]]:
        for frame in tqdm.tqdm(frames, f"cityscapes {split}", unit=" images"):
            semantic, cars = read_annotation(frame.ids)
            yield (
                frame.id,
                {
                    "image": read_image(frame.image),
                    "semantic": semantic,
                    "cars": cars,
                    "id": frame.id,
                },
            )
