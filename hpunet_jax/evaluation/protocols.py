"""One protocol for each task (Appendix B), chosen by the section `evaluation` of a config.

  evaluation.protocol   'graders' (if missing; 'lidc' in older runs), 'instances' (own ones),
                        'snemi3d' or 'cityscapes'
  evaluation.num_samples, seed

for graders:

  evaluation.absent             what a class counts as that two compared maps lack: 'one' or 'nan'
                                (metrics/gradings.py); if missing, 'nan' above two classes

  evaluation.tile               of whole images (data.whole_images): what the model sees at once

and for instances, of which the paper clusters 16 samples of SNEMI3D with distances up to 16, 32 of
Cityscapes with distances up to 32:

  evaluation.hamming_threshold  the greatest distance within a cluster (Appendix G), 16 if missing
  evaluation.erosion            side of the clean-up's erosion (Appendix H), 5 if missing
  evaluation.neighbourhood      side of the clean-up's box of neighbours, 11 if missing
  evaluation.min_region         'instances' and 'cityscapes': pixels of an object that counts in the
                                average precision, 25 if missing
  evaluation.tile               'instances', as for graders
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import ml_collections

from hpunet_jax.evaluation import graders, instances
from hpunet_jax.evaluation.model import SegmentationModel
from hpunet_jax.evaluation.scores import Scores
from hpunet_jax.evaluation.sharing import Examples
from hpunet_jax.evaluation.truths import MIN_REGION_HALF, truth_of_cars, truth_of_instances
from hpunet_jax.inference.segment import SegmentOptions
from hpunet_jax.inference.tiles import TILE

PROTOCOLS = {
    "graders": ("masks",),
    "instances": ("instances",),
    "snemi3d": ("instances",),
    "cityscapes": ("semantic", "cars"),
}
"""The protocols, and the annotations that each scores."""

_FORMER = {"lidc": "graders"}  # names in the configs of older runs


def check_annotations(config: ml_collections.ConfigDict, names: Collection[str]) -> None:
    """Raises a `ValueError` if the config's protocol scores what the data set has not.

    Args:
      config: the whole config.
      names: the names of all that an example of the data set holds.
    """
    if missing := [name for name in PROTOCOLS[_protocol(config)] if name not in names]:
        fitting = [repr(other) for other, scored in PROTOCOLS.items() if {*scored} <= {*names}]
        advice = f"set it to {' or '.join(fitting)}" if fitting else "no protocol fits it"
        raise ValueError(
            f"evaluation.protocol is {_protocol(config)!r}, which scores `{missing[0]}`, but the "
            f"data set has only {', '.join(sorted(names))}: {advice}."
        )


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
      batches: examples of the split, one pass. Only the last batch may be smaller than the others.
      training_batches: makes one pass over the training examples, for protocols that compare with
        their frequencies; None leaves such rows out.
      num_images: number of images, for the progress bar.
      numbers: numbers of samples by which the model is scored besides; only of graders.
      progress: whether to show a progress bar.

    Returns:
      The scores of each image, with the rows of `graders` or `instances`.

    Raises:
      ValueError: if the protocol is unknown or does not fit the data.
    """
    protocol = _protocol(config)
    if config.data.get("extrapolation", None) is not None:
        raise ValueError(
            "this model was trained to extrapolate (data.extrapolation), for which no score is "
            "known: `hpunet sample` shows what it does."
        )
    if numbers and protocol != "graders":
        raise ValueError(
            f"the protocol {protocol!r} clusters a fixed number of samples, "
            "evaluation.num_samples: other numbers of samples are for graders only."
        )
    batches = _checked(config, batches)
    if protocol == "graders":
        return _of_graders(model, config, batches, training_batches, num_images, numbers, progress)
    return _of_instances(model, config, batches, num_images, progress)


def _protocol(config: ml_collections.ConfigDict) -> str:
    name = config.evaluation.get("protocol", "graders")
    name = _FORMER.get(name, name)
    if name not in PROTOCOLS:
        raise ValueError(
            f"evaluation.protocol is {name!r}: expected one of {', '.join(PROTOCOLS)}."
        )
    return name


def _checked(config: ml_collections.ConfigDict, batches: Iterable[Examples]) -> Iterator[Examples]:
    for examples in batches:
        check_annotations(config, examples)
        yield examples


def _crop(config: ml_collections.ConfigDict) -> tuple[int, int] | None:
    """The centre crop that is scored; None: whole images."""
    whole = config.data.get("whole_images", False)
    return None if whole else tuple(config.data.crop)


def _of_graders(
    model: SegmentationModel,
    config: ml_collections.ConfigDict,
    batches: Iterable[Examples],
    training_batches: Callable[[], Iterable[Examples]] | None,
    num_images: int | None,
    numbers: Sequence[int],
    progress: bool,
) -> Scores:
    settings, crop = config.evaluation, _crop(config)
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


def _of_instances(
    model: SegmentationModel,
    config: ml_collections.ConfigDict,
    batches: Iterable[Examples],
    num_images: int | None,
    progress: bool,
) -> Scores:
    settings, protocol = config.evaluation, _protocol(config)
    min_region = settings.get("min_region", MIN_REGION_HALF)
    return instances.evaluate(
        model,
        batches,
        truth_of_cars if protocol == "cityscapes" else truth_of_instances,
        SegmentOptions.from_config(config),
        crop=_crop(config) if protocol == "instances" else tuple(config.data.crop),
        num_ids=config.data.get("num_ids", None),
        min_region=None if protocol == "snemi3d" else min_region,  # the paper's has no precision
        num_images=num_images,
        tile=settings.get("tile", TILE),
        progress=progress,
    )
