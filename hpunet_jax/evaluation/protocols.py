"""One protocol for each task (Appendix B), chosen by the section `evaluation` of a config.

  evaluation.protocol   'graders' (if missing; 'lidc' in older runs), 'instances' (own ones),
                        'snemi3d' or 'cityscapes'
  evaluation.num_samples, seed

for graders:

  evaluation.absent             what a class counts as that two compared maps lack: 'one' or 'nan'
                                (metrics/gradings.py); if missing, 'nan' above two classes

  evaluation.tile               of whole images (data.whole_images): what the model sees at once

and for instances:

  evaluation.hamming_threshold  the greatest distance within a cluster (Appendix G), 16 if missing
  evaluation.erosion            side of the clean-up's erosion (Appendix H), 5 if missing
  evaluation.neighbourhood      side of the clean-up's box of neighbours, 11 if missing
  evaluation.min_region         'instances' and 'cityscapes': pixels of an object that counts in the
                                average precision, 100 and 25 if missing
  evaluation.tile               'instances', as for graders
"""

from collections.abc import Callable, Iterable, Sequence

import ml_collections

from hpunet_jax.evaluation import cityscapes, graders, snemi3d
from hpunet_jax.evaluation.model import SegmentationModel
from hpunet_jax.evaluation.scores import Scores
from hpunet_jax.evaluation.sharing import Examples
from hpunet_jax.inference.segment import SegmentOptions
from hpunet_jax.inference.tiles import TILE

PROTOCOLS = ("graders", "instances", "snemi3d", "cityscapes")
_FORMER = {"lidc": "graders"}  # names in the configs of older runs


def evaluate(
    model: SegmentationModel,
    config: ml_collections.ConfigDict,
    batches: Iterable[Examples],
    training_batches: Callable[[], Iterable[Examples]] | None,
    num_images: int | None = None,
    numbers: Sequence[int] = (),
    progress: bool = True,
) -> Scores:
    """Scores every image of a split by the protocol that the config names.

    Args:
      model: the model.
      config: its whole config.
      batches: examples of the split, one pass.
      training_batches: makes one pass over the training examples, for protocols that compare with
        their frequencies; None leaves such rows out.
      num_images: number of images, for the progress bar.
      numbers: numbers of samples by which the model is scored besides; only of graders.
      progress: whether to show a progress bar.

    Returns:
      The scores of each image.

    Raises:
      ValueError: if the protocol is unknown or does not fit the data; see the protocols.
    """
    settings = config.evaluation
    protocol = settings.get("protocol", "graders")
    protocol = _FORMER.get(protocol, protocol)
    if protocol not in PROTOCOLS:
        raise ValueError(
            f"evaluation.protocol is {protocol!r}: expected one of {', '.join(PROTOCOLS)}."
        )
    if config.data.get("extrapolation", None) is not None:
        raise ValueError(
            "this model was trained to extrapolate (data.extrapolation), for which no score is "
            "known: `hpunet sample` shows what it does."
        )
    crop = tuple(config.data.crop)
    if protocol == "graders":
        crop = None if config.data.get("whole_images", False) else crop
        frequencies = None
        if training_batches is not None:
            frequencies = graders.class_frequencies(
                training_batches(), crop=crop, num_classes=model.num_classes
            )
        return graders.evaluate(
            model,
            batches,
            crop=crop,
            num_samples=settings.num_samples,
            seed=settings.seed,
            num_images=num_images,
            training_frequencies=frequencies,
            absent=settings.get("absent", None),
            numbers=numbers,
            tile=settings.get("tile", TILE),
            progress=progress,
        )
    if numbers:
        raise ValueError(
            f"the protocol {protocol!r} clusters a fixed number of samples, "
            "evaluation.num_samples: other numbers of samples are for graders only."
        )
    num_ids = config.data.get("num_ids", None)
    options = SegmentOptions.from_config(config)
    if protocol == "instances":
        return snemi3d.evaluate(
            model,
            batches,
            options,
            crop=None if config.data.get("whole_images", False) else crop,
            num_ids=num_ids,
            min_region=settings.get("min_region", cityscapes.MIN_REGION_HALF),
            num_images=num_images,
            tile=settings.get("tile", TILE),
            progress=progress,
        )
    if protocol == "snemi3d":
        return snemi3d.evaluate(
            model,
            batches,
            options,
            crop=crop,
            num_ids=num_ids,
            num_images=num_images,
            progress=progress,
        )
    return cityscapes.evaluate(
        model,
        batches,
        options,
        crop=crop,
        num_ids=num_ids,
        min_region=settings.get("min_region", cityscapes.MIN_REGION_HALF),
        num_images=num_images,
        progress=progress,
    )
