"""Samples and their mean probabilities, without holding the probabilities of all samples."""

import functools
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Integer, Shaped

from hpunet_jax.inference import devices
from hpunet_jax.inference.inputs import as_unit_images
from hpunet_jax.inference.model import Model
from hpunet_jax.inference.summing import drawn_noise, mean_over_samples
from hpunet_jax.networks import check_image_shape


class Drawn(NamedTuple):
    """Samples of some images.

    Attributes:
      labels: uint8 (int32 for more than 256 classes) [N, B, H, W].
      marginal: float32 [B, H, W, C], the samples' mean class probabilities.
      first: float32 [B, H, W, C], the class probabilities of the first sample.
    """

    labels: Integer[np.ndarray, "N B H W"]
    marginal: Float[np.ndarray, "B H W C"]
    first: Float[np.ndarray, "B H W C"]


def draw_with_marginal(
    model: Model,
    images: Shaped[np.ndarray, "B H W channels"],
    num_samples: int,
    seed: int,
    image_ids: Integer[np.ndarray, " B"],
) -> Drawn:
    """The samples that `Model.sample` draws, and the mean of their class probabilities.

    The probabilities are added up sample by sample: of N samples of 512x1024 pixels and 23 classes
    they would take N times 48 MB.

    Args:
      model: the model; not one that extrapolates.
      images: [B, H, W, channels], as for `Model.sample`.
      num_samples: number of samples N.
      seed: seed of the latents.
      image_ids: [B], what tells the noise of images apart.

    Returns:
      The labels of all samples, and their marginal.

    Raises:
      ValueError: for images of the wrong shape or scale.
    """
    images = as_unit_images(images)
    check_image_shape(model.network, images.shape, "the image")
    ids = np.asarray(image_ids, np.int32)
    mesh = devices.mesh_of(model.params)
    images, ids = devices.split(mesh, (images, ids))
    drawn = _draw(model.network, model.params, images, seed, ids, num_samples, mesh)
    return Drawn(*map(np.asarray, drawn))


@functools.partial(jax.jit, static_argnums=(0, 5, 6))
def _draw(network, params, images, seed, image_ids, num_samples, mesh):
    noise = drawn_noise(seed, image_ids)
    return mean_over_samples(network, params, images, noise, num_samples, mesh)
