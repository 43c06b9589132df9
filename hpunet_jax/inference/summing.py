"""Samples drawn one after the other, and what is summed up over them; inside of programs.

So there is never an array of all samples times classes. The samples of an image are split over the
devices, each of which has a copy of it (devices.py).
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from hpunet_jax.inference import devices
from hpunet_jax.inference.programs import most_probable, sample_keys
from hpunet_jax.networks import Network

Noise = Callable[[jax.Array], tuple[jax.Array | None, Sequence[jax.Array] | None]]
"""Of the numbers [K] of samples, the `keys` and the `noise` of `Network.sample`."""


def drawn_noise(seed: jax.Array, image_ids: jax.Array) -> Noise:
    """The noise that `Model.sample` draws from a seed for images of these ids [B]."""

    def of(numbers: jax.Array) -> tuple[jax.Array, None]:
        ids = jnp.repeat(image_ids, len(numbers) // len(image_ids))
        return sample_keys(seed, numbers, ids), None

    return of


def given_noise(fields: Sequence[jax.Array]) -> Noise:
    """The noise of one image, float32 [N, 1, h, w, d] of each scale; of the last from N on."""

    def of(numbers: jax.Array) -> tuple[None, Sequence[jax.Array]]:
        return None, [field[jnp.minimum(numbers, len(field) - 1), 0] for field in fields]

    return of


def over_samples(
    network: Network,
    params: Any,
    images: jax.Array,
    noise: Noise,
    num_samples: int,
    mesh: Mesh | None,
    fold: Callable[[Any, jax.Array, jax.Array], Any],
    empty: Callable[[tuple[int, ...]], Any],
) -> tuple[jax.Array, Any]:
    """Labels of samples, and what is summed up over them.

    Args:
      network: the network.
      params: its parameters.
      images: float32 [B, H, W, channels], of which the devices get K, each B the same number of
        times, next to each other.
      noise: the samples' noise.
      num_samples: number of samples N.
      mesh: the devices to split images or samples over; None: one device.
      fold: (sums, logits [K, H, W, C], the samples' numbers [K]) -> sums; what has the number N or
        a higher one does not count.
      empty: (K, H, W, C) -> the sums [K, ...] of no samples.

    Returns:
      Labels [N, B, H, W], and the sums [K, ...], of each copy for itself.
    """
    num_images, times = len(images), devices.copies(mesh, len(images))
    features = devices.repeat(mesh, network.encode(params, images), times)

    def one(sums: Any, step: jax.Array) -> tuple[Any, jax.Array]:
        numbers = devices.numbers(step, num_images, times)
        keys, fields = noise(numbers)
        logits = network.sample(params, features, keys, noise=fields).logits
        return fold(sums, logits, numbers), most_probable(logits)

    sums = empty((num_images * times, *images.shape[1:3], network.num_classes))
    sums, labels = jax.lax.scan(one, sums, jnp.arange(-(-num_samples // times)))
    return devices.in_order(labels, times)[:num_samples], sums


def mean_over_samples(
    network: Network,
    params: Any,
    images: jax.Array,
    noise: Noise,
    num_samples: int,
    mesh: Mesh | None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Labels of samples, their mean class probabilities, and those of the first.

    Args:
      network, params, images, noise, num_samples, mesh: as of `over_samples`.

    Returns:
      Labels [N, B, H, W], and twice float32 [B, H, W, C].
    """

    def fold(
        sums: tuple[jax.Array, jax.Array], logits: jax.Array, numbers: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        total, first = sums
        probabilities = jax.nn.softmax(logits)
        first = jnp.where(like(numbers == 0, first), probabilities, first)
        return total + jnp.where(like(numbers < num_samples, total), probabilities, 0), first

    def empty(shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
        return jnp.zeros(shape), jnp.zeros(shape)

    labels, sums = over_samples(network, params, images, noise, num_samples, mesh, fold, empty)
    total, first = (devices.added(of_copies, len(images)) for of_copies in sums)
    return labels, total / num_samples, first


def like(numbers: jax.Array, maps: jax.Array) -> jax.Array:
    """Numbers [K] with as many axes as maps [K, ...], to be used with them."""
    return numbers.reshape(-1, *[1] * (maps.ndim - 1))
