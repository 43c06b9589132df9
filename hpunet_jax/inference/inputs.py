"""What users give to a model, checked: images, labels, latents, the names of images."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from hpunet_jax.arguments import (
    GREATEST_SEED,
    check_array,
    check_integer,
    check_subset,
    shown,
    to_array,
)
from hpunet_jax.networks import Network, check_image_shape, check_unit_interval
from hpunet_jax.tasks import extrapolation
from hpunet_jax.tasks.intensity import unit_interval

Latents = Sequence[Float[np.ndarray, "..."] | None]
"""Of each latent scale, coarse to fine, or None where they are drawn or follow from the others."""


def as_unit_images(images: Any) -> np.ndarray:
    """Images as float32 in [0, 1]: integers divided by their type's greatest value.

    Args:
      images: [B, H, W, channels], uint8, uint16 or floating point.

    Returns:
      float32 of the same shape.

    Raises:
      ValueError: for another number of axes, another type, or floats outside [0, 1] (NaN too).
    """
    images = check_array("images", images, "iuf", (None,) * 4, "[B, H, W, channels]")
    check_unit_interval(images)
    return np.asarray(unit_interval(images, images.dtype))


class Inputs(NamedTuple):
    """What a network sees of images.

    Attributes:
      images: float32 [B, H, W, channels]; of a visible segmentation, too, where there is one.
      single: whether a single image [H, W, channels] was given: then there is no axis B in what
        belongs to it either.
    """

    images: np.ndarray
    single: bool

    @property
    def lead(self) -> tuple[int, ...]:
        """(B,), or () of a single image."""
        return () if self.single else (len(self.images),)

    def results(self, outputs: Any, axis: int = 0) -> Any:
        """A pytree of results without the images' axis where there is a single image."""
        return jax.tree.map(lambda a: a.squeeze(axis), outputs) if self.single else outputs


def check_inputs(network: Network, images: Any, visible_labels: Any, extrapolates: bool) -> Inputs:
    """What a network sees of images, and of the visible segmentation if there is one.

    Args:
      network: the network.
      images: uint8, uint16 or floating point in [0, 1], [B, H, W, channels] or [H, W, channels].
      visible_labels: None, or integers of the images' shape without channels.
      extrapolates: whether the network was trained to extrapolate, and needs them.

    Returns:
      The inputs.

    Raises:
      ValueError: for images of the wrong shape or scale, or visible labels that are missing, not
        wanted, or do not fit.
    """
    images = to_array("images", images)
    single = images.ndim == 3
    images = as_unit_images(images[None] if single else images)
    if not extrapolates:
        if visible_labels is not None:
            raise ValueError(
                "visible_labels are given, but this model was not trained to extrapolate (its "
                "config has no data.extrapolation): leave them out, or train a model with "
                "configs/demo_extrapolation.py."
            )
        check_image_shape(network, images.shape, "the image")
        return Inputs(images, single)
    if visible_labels is None:
        raise ValueError(
            "this model was trained to extrapolate (data.extrapolation): give the visible "
            "segmentation as visible_labels, integers [B, H, W] that are -1 where hidden."
        )
    labels = check_visible_labels(
        visible_labels, images.shape[single:-1], network.num_classes
    ).reshape(images.shape[:3])
    seen = np.asarray(extrapolation.visible_input(images, labels, network.num_classes))
    check_image_shape(network, seen.shape, "the image with the visible segmentation")
    return Inputs(seen, single)


def check_takes_images_alone(extrapolates: bool) -> None:
    """Raises a `ValueError` if a model needs more than images, of a program that has no more."""
    if extrapolates:
        raise ValueError(
            "this model was trained to extrapolate (data.extrapolation) and needs a part of the "
            "segmentation: take a model without, such as that of configs/demo_neurites.py."
        )


def check_labels(labels: Any, shape: Sequence[int], num_classes: int) -> np.ndarray:
    """The segmentations of images, as int32.

    Args:
      labels: integers; bools are taken for the classes 0 and 1.
      shape: [B, H, W], or [H, W] of a single image.
      num_classes: number of classes C.

    Returns:
      int32 of that shape.

    Raises:
      ValueError: for another shape or type, or labels outside the classes.
    """
    labels = check_array("labels", labels, "iub", (None,) * len(shape), _axes("H W", shape))
    if labels.shape != tuple(shape):
        raise ValueError(
            f"labels have shape {labels.shape}, but these images need labels of shape {shape}."
        )
    if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(
            f"labels lie in [{labels.min()}, {labels.max()}], but the model knows the classes 0 "
            f"to {num_classes - 1}."
        )
    return labels.astype(np.int32)


def check_visible_labels(labels: Any, shape: Sequence[int], num_classes: int) -> np.ndarray:
    """The visible segmentation of an extrapolating model, as int32 that are -1 where hidden.

    Args:
      labels: integers; -1 and, of fewer than 256 classes, 255 stand for hidden pixels.
      shape: [B, H, W], or [H, W] of a single image.
      num_classes: number of classes C.

    Returns:
      int32 of that shape.

    Raises:
      ValueError: for another shape or type, or labels outside the classes.
    """
    labels = check_array("visible_labels", labels, "iu", tuple(shape), _axes("H W", shape))
    if num_classes <= 255:
        labels = np.where(labels == 255, extrapolation.HIDDEN, labels.astype(np.int64))
    if labels.size and not -1 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(
            f"visible_labels lie in [{labels.min()}, {labels.max()}], but the model knows the "
            f"classes 0 to {num_classes - 1}, and -1 (or 255) for hidden pixels."
        )
    return labels.astype(np.int32)


def check_image_ids(image_ids: Any, inputs: Inputs, name: str = "image_ids") -> np.ndarray:
    """What tells the noise of images apart, as int32 [B]; None stands for 0 to B - 1."""
    if image_ids is None:
        return np.arange(len(inputs.images), dtype=np.int32)
    ids = check_array(name, image_ids, "iu", inputs.lead, "[]" if inputs.single else "[B]")
    if ids.size and not 0 <= ids.min() <= ids.max() <= GREATEST_SEED:
        raise ValueError(
            f"{name} lie in [{ids.min()}, {ids.max()}], but must lie in [0, {GREATEST_SEED}]."
        )
    return ids.astype(np.int32).reshape(-1)


def check_batch_size(batch_size: Any, num_images: int) -> int:
    """How many images are handled at once; None stands for all of them."""
    if batch_size is None:
        return max(1, num_images)
    return check_integer("batch_size", batch_size, 1)


def mean_flags(scales: Any, num_scales: int) -> tuple[bool, ...]:
    """For each latent scale whether it stays at its mean; `scales` are those that do not."""
    if scales is None:
        return (False,) * num_scales
    chosen = check_subset("scales", scales, num_scales, "latent scale")
    return tuple(scale not in chosen for scale in range(num_scales))


def check_latents(
    latents: Any,
    shapes: Sequence[tuple[int, ...]],
    inputs: Inputs,
    num_samples: int | None = None,
    name: str = "latents",
) -> tuple[np.ndarray | None, ...]:
    """Latents given by the user, as float32 with the images' axis in front, or None.

    Args:
      latents: None, or a list of one entry for each latent scale, coarse to fine: None where the
        scale is not given, or floating point numbers [B, h, w, d]; where there are samples, also
        [N, B, h, w, d], those of each sample. Of a single image they have no axis B.
      shapes: [h, w, d] of each latent scale.
      inputs: the images.
      num_samples: number of samples N; None where there are none.
      name: the argument's name.

    Returns:
      For each scale None, or [B, h, w, d]; where there are samples, [B, n, h, w, d] with n of N
      or 1.

    Raises:
      ValueError: for another number of scales, shape or type, and for NaN and infinity.
    """
    if latents is None:
        return (None,) * len(shapes)
    if not isinstance(latents, Sequence) or isinstance(latents, str | bytes):
        raise ValueError(
            f"{name} must be a list of one array for each latent scale, not {shown(latents)}."
        )
    if len(latents) != len(shapes):
        raise ValueError(
            f"{name} has {len(latents)} entries, but this model has {len(shapes)} latent scales: "
            "give one entry for each, coarse to fine, None for a scale that is not given."
        )
    names = (f"{name}[{scale}]" for scale in range(len(shapes)))
    return tuple(
        z if z is None else _check_latent(each, z, shape, inputs, num_samples)
        for each, z, shape in zip(names, latents, shapes, strict=True)
    )


def check_apart(scales: Any, latents: Sequence[np.ndarray | None]) -> None:
    """Raises a `ValueError` if a scale is both to be sampled and given."""
    for scale in () if scales is None else scales:
        if latents[scale] is not None:
            raise ValueError(
                f"scales says that scale {scale} is to be sampled, but latents[{scale}] is given: "
                "leave the one or the other out."
            )


def _check_latent(
    name: str, z: Any, shape: tuple[int, ...], inputs: Inputs, num_samples: int | None
) -> np.ndarray:
    expected = (*inputs.lead, *shape)
    z = to_array(name, z)
    several = num_samples is not None and z.ndim == len(expected) + 1
    if several:
        expected = (num_samples, *expected)
    axes = ("N " if several else "") + ("" if inputs.single else "B ") + "h w d"
    z = check_array(name, z, "f", expected, f"[{axes.replace(' ', ', ')}]")
    with np.errstate(over="ignore"):  # what no float32 holds becomes infinite, and is refused
        z = z.astype(np.float32)
    if not np.isfinite(z).all():
        raise ValueError(f"{name} holds NaN or infinity: give finite numbers.")
    if num_samples is None:
        return z.reshape(-1, *shape)
    return np.moveaxis(z.reshape(num_samples if several else 1, -1, *shape), 0, 1)


def _axes(names: str, shape: Sequence[int]) -> str:
    several = "B " if len(shape) > len(names.split()) else ""
    return f"[{(several + names).replace(' ', ', ')}]"
