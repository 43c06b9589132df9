"""Drawing the segmentation to learn from what the annotators gave (Appendices C, D.1-D.3).

Targets are int32 [H, W]; `NO_TARGET` marks pixels that take no part in the loss. Their classes:

  masks                 the values of the masks
  instances             0 background, 1 ... num_ids the random labels
  semantic and cars     0 ... 12 the train ids before car, 13 ... 12 + num_ids the random labels
                        of cars, then the train ids 14 ... 18 moved up by num_ids - 1
"""

from collections.abc import Mapping
from typing import Any, no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32, Key, UInt8, UInt16

from hpunet_jax.arguments import check_integer
from hpunet_jax.labels import IGNORED, NO_TARGET

CAR = 13  # Cityscapes' train id of cars
NUM_TRAIN_IDS = 19
MAX_IDS = 1 << 16  # instance ids are uint16

_KINDS = (("masks",), ("instances",), ("semantic", "cars"))
_DTYPES = {"masks": np.uint8, "instances": np.uint16, "semantic": np.uint8, "cars": np.uint16}


@no_type_check
def check_annotations(
    examples: Mapping[str, Any], num_ids: int | None, num_classes: int | None = None
) -> dict[str, Any]:
    """Picks the annotations that `draw_target` takes; looks at types and shapes, not at values.

    Args:
      examples: `image` [B, H, W, C] and `masks` uint8 [B, H, W, G], `instances` uint16 [B, H, W],
        or `semantic` uint8 and `cars` uint16 [B, H, W].
      num_ids: number of labels that instances are mapped to, where there are instances.
      num_classes: number of classes of the model; None leaves it unchecked.

    Returns:
      The annotations.

    Raises:
      ValueError: if one is missing or does not fit.
    """
    kind = next((kind for kind in _KINDS if all(name in examples for name in kind)), None)
    if kind is None or "image" not in examples:
        raise ValueError(
            "an example needs `image` and `masks`, `instances`, or `semantic` and `cars`; it has "
            f"{', '.join(sorted(examples))}."
        )
    image = examples["image"].shape
    for name in kind:
        shape, dtype = examples[name].shape, examples[name].dtype
        if shape[:3] != image[:3] or len(image) != 4 or len(shape) != 3 + (name == "masks"):
            raise ValueError(
                f"`{name}` of shape {shape} does not fit `image` of shape {image}: expected "
                "images [B, H, W, C], masks [B, H, W, graders] and other maps [B, H, W]."
            )
        if dtype != _DTYPES[name]:
            raise ValueError(f"`{name}` must be {np.dtype(_DTYPES[name])}, not {dtype}.")
    if "masks" not in kind:
        if num_ids is None:
            raise ValueError(
                "data.num_ids is None: give the number of labels that instances are mapped "
                "to at random (the paper's 15 on SNEMI3D, 5 on Cityscapes)."
            )
        num_ids = check_integer("data.num_ids", num_ids, 1)
        needed = num_ids + (1 if "instances" in kind else NUM_TRAIN_IDS - 1)
        if num_classes not in (None, needed):
            raise ValueError(
                f"model.num_classes is {num_classes}, but data.num_ids={num_ids} makes {needed} "
                f"classes of {' and '.join(kind)}."
            )
    return {name: examples[name] for name in kind}


@no_type_check
def stochastic_classes(num_classes: int, num_ids: int | None) -> range:
    """The classes that stand for instances, by the layout above.

    Args:
      num_classes: number of classes of the model.
      num_ids: number of labels that instances are mapped to; None where there are no instances.

    Returns:
      1 ... num_ids where background is the only other class, else those of cars.

    Raises:
      ValueError: if there are no instances, or the numbers fit neither layout.
    """
    if num_ids is None or num_ids == 0:
        raise ValueError(
            "this model does not tell instances apart: it was trained without random labels for "
            "instances (data.num_ids)."
        )
    num_ids = check_integer("data.num_ids", num_ids, 1)
    num_classes = check_integer("model.num_classes", num_classes, 1)
    if num_classes == num_ids + 1:
        return range(1, num_classes)
    if num_classes == num_ids + NUM_TRAIN_IDS - 1:
        return range(CAR, CAR + num_ids)
    raise ValueError(
        f"model.num_classes is {num_classes}, but data.num_ids={num_ids} makes {num_ids + 1} "
        f"classes of instances and {num_ids + NUM_TRAIN_IDS - 1} of street scenes."
    )


@no_type_check
def draw_targets(
    key: Key[Array, ""], examples: Mapping[str, Any], num_ids: int | None = None
) -> Int32[Array, "B H W"]:
    """Draws the targets of a batch of examples that is not augmented, e.g. to reconstruct them.

    Args:
      key: a random key; each example has its own.
      examples: as for `check_annotations`.
      num_ids: number of labels that instances are mapped to, where there are instances.

    Returns:
      int32 [B, H, W].

    Raises:
      ValueError: see `check_annotations`.
    """
    annotations = check_annotations(examples, num_ids)
    keys = jax.random.split(key, examples["image"].shape[0])
    return jax.vmap(lambda key, one: draw_target(key, one, num_ids))(keys, annotations)


def draw_target(
    key: Key[Array, ""],
    annotations: Mapping[str, Array | np.ndarray],
    num_ids: int | None = None,
) -> Int32[Array, "H W"]:
    """Draws the target of one example, by the kind of annotation it has.

    Args:
      key: a random key.
      annotations: one record's `masks` (several graders), `instances`, or `semantic` and `cars`,
        as `check_annotations` leaves them.
      num_ids: number of labels that instances are mapped to, where there are instances.

    Returns:
      int32 [H, W].
    """
    if "masks" in annotations:
        return random_grader(key, annotations["masks"])
    if num_ids is None:
        raise ValueError("instances need `num_ids`, the number of labels they are mapped to.")
    if "instances" in annotations:
        return random_ids(key, annotations["instances"], num_ids)
    return random_cars(key, annotations["semantic"], annotations["cars"], num_ids)


def random_grader(
    key: Key[Array, ""], masks: UInt8[Array | np.ndarray, "H W G"]
) -> Int32[Array, "H W"]:
    """The segmentation of a grader drawn at random (Appendix D.1).

    Args:
      key: a random key.
      masks: uint8 [H, W, G]; 255 is ignored, and a grader whose plane is all 255 did not
        annotate the image and is not drawn. If no grader did, all pixels are ignored.

    Returns:
      int32 [H, W].
    """
    present = jnp.any(masks != IGNORED, axis=(0, 1))
    grader = jax.random.categorical(key, jnp.where(present, 0.0, -jnp.inf))
    label = jnp.take(masks, grader, axis=-1).astype(jnp.int32)
    return jnp.where(label == IGNORED, NO_TARGET, label)


def random_ids(
    key: Key[Array, ""], instances: UInt16[Array | np.ndarray, "H W"], num_ids: int
) -> Int32[Array, "H W"]:
    """Maps each instance at random to one of `num_ids` labels (Appendices C and D.2).

    Labels are uniform and independent, so two instances may get the same one.

    Args:
      key: a random key.
      instances: uint16 [H, W]; 0 is background.
      num_ids: the paper's 15.

    Returns:
      int32 [H, W] in 0 ... num_ids; 0 stays background.
    """
    # The remainder of 32 random bits is uniform to within num_ids / 2^32.
    labels = 1 + jax.random.bits(key, (MAX_IDS,), jnp.uint32) % num_ids
    table = labels.astype(jnp.int32).at[0].set(0)
    return table.at[instances.astype(jnp.int32)].get(mode="promise_in_bounds")


def random_cars(
    key: Key[Array, ""],
    semantic: UInt8[Array | np.ndarray, "H W"],
    cars: UInt16[Array | np.ndarray, "H W"],
    num_ids: int,
) -> Int32[Array, "H W"]:
    """Replaces the class car by `num_ids` car classes, each car at random (Appendix D.3).

    The train ids below 13 stay, the cars take 13 ... 12 + num_ids, the train ids above 13 move
    up. Car pixels that belong to no single car (groups) are ignored: they have no instance that a
    label could stand for.

    Args:
      key: a random key.
      semantic: uint8 [H, W], train ids 0 ... 18, 255 for ignore.
      cars: uint16 [H, W], the instance of each car pixel, 0 for none; looked at only where
        `semantic` says car.
      num_ids: the paper's 5.

    Returns:
      int32 [H, W] in 0 ... 17 + num_ids.
    """
    semantic = semantic.astype(jnp.int32)
    ids = random_ids(key, cars, num_ids)
    car = jnp.where(ids > 0, CAR - 1 + ids, NO_TARGET)
    label = jnp.where(semantic > CAR, semantic + num_ids - 1, semantic)
    label = jnp.where(semantic == CAR, car, label)
    return jnp.where(semantic == IGNORED, NO_TARGET, label)
