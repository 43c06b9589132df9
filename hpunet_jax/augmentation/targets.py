"""Drawing the segmentation to learn from what the annotators gave (Appendices C, D.1-D.3).

Targets are int32 [H, W]; `IGNORE` marks pixels that take no part in the loss.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

IGNORE = -1
MISSING = 255  # value of ignored pixels in the data sets' uint8 maps
CAR = 13  # Cityscapes' train id of cars
MAX_IDS = 1 << 16  # instance ids are uint16


def draw_target(
    key: jax.Array, example: Mapping[str, jax.Array], num_ids: int | None = None
) -> jax.Array:
    """Draws the target of one example, by the kind of annotation it has.

    Args:
      key: a random key.
      example: one record: `masks` (several graders), `instances`, or `semantic` and `cars`.
      num_ids: number of labels that instances are mapped to, where there are instances.

    Returns:
      int32 [H, W].

    Raises:
      ValueError: if the example has no annotation known here, or `num_ids` is missing.
    """
    if "masks" in example:
        return random_grader(key, example["masks"])
    if num_ids is None:
        raise ValueError("data.num_ids is needed to map instances to labels, but is not given.")
    if "instances" in example:
        return random_ids(key, example["instances"], num_ids)
    if "semantic" in example and "cars" in example:
        return random_cars(key, example["semantic"], example["cars"], num_ids)
    raise ValueError(
        "an example needs the feature `masks`, `instances`, or `semantic` and `cars`; it has "
        f"{', '.join(sorted(example))}."
    )


def random_grader(key: jax.Array, masks: jax.Array) -> jax.Array:
    """The segmentation of a grader drawn at random (Appendix D.1).

    Args:
      key: a random key.
      masks: uint8 [H, W, G]; 255 is ignored, and a grader whose plane is all 255 did not
        annotate the image and is not drawn.

    Returns:
      int32 [H, W].
    """
    present = jnp.any(masks != MISSING, axis=(0, 1))
    grader = jax.random.categorical(key, jnp.where(present, 0.0, -jnp.inf))
    label = jnp.take(masks, grader, axis=-1).astype(jnp.int32)
    return jnp.where(label == MISSING, IGNORE, label)


def random_ids(key: jax.Array, instances: jax.Array, num_ids: int) -> jax.Array:
    """Maps each instance at random to one of `num_ids` labels (Appendices C and D.2).

    Args:
      key: a random key.
      instances: uint16 [H, W]; 0 is background.
      num_ids: the paper's 15.

    Returns:
      int32 [H, W] in 0 ... num_ids; 0 stays background.
    """
    table = jax.random.randint(key, (MAX_IDS,), 1, num_ids + 1).at[0].set(0)
    return table[instances.astype(jnp.int32)]


def random_cars(
    key: jax.Array, semantic: jax.Array, cars: jax.Array, num_ids: int
) -> jax.Array:
    """Replaces the class car by `num_ids` car classes, each car at random (Appendix D.3).

    The train ids below 13 stay, the cars take 13 ... 12 + num_ids, the train ids above 13 move
    up. Car pixels that belong to no single car (groups) are ignored.

    Args:
      key: a random key.
      semantic: uint8 [H, W], train ids 0 ... 18, 255 for ignore.
      cars: uint16 [H, W], the instance of each car pixel; 0 elsewhere.
      num_ids: the paper's 5.

    Returns:
      int32 [H, W] in 0 ... 17 + num_ids.
    """
    semantic = semantic.astype(jnp.int32)
    ids = random_ids(key, cars, num_ids)
    car = jnp.where(ids > 0, CAR - 1 + ids, IGNORE)
    label = jnp.where(semantic > CAR, semantic + num_ids - 1, semantic)
    label = jnp.where(semantic == CAR, car, label)
    return jnp.where(semantic == MISSING, IGNORE, label)
