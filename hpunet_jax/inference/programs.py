"""Compiled programs of a network: encoding, sampling, reconstruction, Gaussians of the latents.

A program is compiled for one shape of images. How many samples, their seed and the images' names
are given when it runs. The newest `KEPT` programs are kept, so that images of many sizes do not
pile up programs; networks of equal config share theirs.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from hpunet_jax.inference import devices
from hpunet_jax.networks import Gaussian, Network

KEPT = 32
CHUNK = 4
"""Samples that are drawn, one after the other, by one run of a program: more would take memory
that fewer do not need, fewer would let the accelerator wait for the next run."""

Latents = Sequence[np.ndarray | jax.Array | None]
_T = TypeVar("_T")


@functools.lru_cache(maxsize=KEPT)
def program(
    function: Callable[..., Any], network: Network, shape: tuple[int, ...], *settings: Any
) -> Callable[..., Any]:
    """A function of a network, compiled for it, images of a shape, and settings."""
    return jax.jit(functools.partial(function, network, *settings))


@functools.lru_cache(maxsize=KEPT)
def latent_shapes(network: Network, shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """[h, w, d] of each latent scale, coarse to fine, for images of shape [H, W, channels]."""

    def latents(params, images):
        return network.sample(params, network.encode(params, images), None, mean=True).latents

    images = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    return tuple(z.shape[1:] for z in jax.eval_shape(latents, network.param_shapes(), images))


def in_batches(function: Callable[..., _T], batch_size: int, axis: int, *arrays: Any) -> _T:
    """Applies a function to some images at a time, and joins what it returns.

    The last of several batches is filled up, so that nothing is compiled for its size.

    Args:
      function: of as many arguments as there are `arrays`; returns a pytree of arrays.
      batch_size: number of images at a time.
      axis: the axis of the images in what `function` returns.
      *arrays: pytrees of arrays whose first axis is that of the images.

    Returns:
      The pytree of NumPy arrays for all images.
    """
    num_images = len(jax.tree.leaves(arrays)[0])
    several = num_images > batch_size

    def fill(part: np.ndarray) -> np.ndarray:
        missing = batch_size - len(part) if several else 0
        return np.concatenate([part, part[-1:].repeat(missing, axis=0)]) if missing else part

    parts = []
    for start in range(0, max(1, num_images), batch_size):
        some = slice(start, min(start + batch_size, num_images))
        batch = jax.tree.map(lambda array, some=some: fill(array[some]), arrays)
        keep = (slice(None),) * axis + (slice(some.stop - some.start),)
        parts.append(jax.tree.map(lambda a, keep=keep: np.asarray(a)[keep], function(*batch)))
    if not several:
        return parts[0]
    return jax.tree.map(lambda *part: np.concatenate(part, axis), *parts)


def encode(network: Network, params: Any, images: np.ndarray) -> Any:
    """The features of images, float32 [B, H, W, channels]."""
    split = devices.split(devices.mesh_of(params), images)
    return program(_encode, network, images.shape)(params, split)


def draw_samples(
    network: Network,
    params: Any,
    features: Any,
    shape: tuple[int, ...],
    *,
    seed: int,
    num_samples: int,
    image_ids: np.ndarray,
    latents: Sequence[np.ndarray | None],
    mean: tuple[bool, ...],
    probabilities: bool,
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Samples of encoded images, and their latents.

    Args:
      network: the network.
      params: its parameters.
      features: what `encode` gives.
      shape: the images' shape.
      seed: the seed.
      num_samples: number of samples N.
      image_ids: int32 [B].
      latents: for each scale float32 [B, n, h, w, d], where n is N or 1, or None to draw them.
      mean: for each scale, whether it takes its prior mean where it is drawn.
      probabilities: whether to return class probabilities instead of labels.

    Returns:
      Labels [N, B, H, W] or probabilities [N, B, H, W, C]; latents [N, B, h, w, d] of each scale.
    """
    mesh = devices.mesh_of(params)
    times = devices.copies(mesh, len(image_ids))
    run = program(_draw, network, shape, mean, probabilities, mesh, times)
    drawn: Any = None
    for first in range(0, num_samples, CHUNK * times):
        count = min(CHUNK * times, num_samples - first)
        given = tuple(z if z is None else _chunk(z, first, times) for z in latents)
        part = run(params, features, seed, image_ids, first, -(-count // times), given)
        if drawn is None:
            drawn = jax.tree.map(lambda a: np.empty((num_samples, *a.shape[1:]), a.dtype), part)
        for whole, some in zip(jax.tree.leaves(drawn), jax.tree.leaves(part), strict=True):
            whole[first : first + count] = np.asarray(some)[:count]
    return drawn


def decode(
    network: Network,
    params: Any,
    features: Any,
    shape: tuple[int, ...],
    latents: Sequence[np.ndarray | None],
    noise: Sequence[np.ndarray] | None,
    probabilities: bool,
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """Labels [B, H, W] or probabilities [B, H, W, C] of latents [B, h, w, d]; and all latents.

    Scales without latents are at their prior means, plus `noise` times the standard deviation.
    """
    run = program(_decode, network, shape, probabilities)
    return run(params, features, tuple(latents), noise)


def reconstruct(
    network: Network, params: Any, images: np.ndarray, labels: np.ndarray, probabilities: bool
) -> jax.Array:
    """Labels [B, H, W] or probabilities [B, H, W, C] through the posterior means."""
    run = program(_reconstruct, network, images.shape, probabilities)
    return run(params, *devices.split(devices.mesh_of(params), (images, labels)))


def priors(
    network: Network, params: Any, features: Any, shape: tuple[int, ...], latents: Latents
) -> tuple[Gaussian, ...]:
    """The prior of each scale given coarser latents [B, h, w, d]; where None, their means."""
    return program(_priors, network, shape)(params, features, tuple(latents))


def posteriors(
    network: Network, params: Any, images: np.ndarray, labels: np.ndarray, latents: Latents
) -> tuple[Gaussian, ...]:
    """The posterior of each scale, as `priors`."""
    return program(_posteriors, network, images.shape)(params, images, labels, tuple(latents))


def to_numpy(arrays: _T) -> _T:
    """A pytree of arrays as arrays of NumPy."""
    return jax.tree.map(np.asarray, arrays)


def sample_keys(seed: jax.Array, index: jax.Array, image_ids: jax.Array) -> jax.Array:
    """The keys [B] of sample `index` (of all images, or [B]), from the seed of `Model.sample`."""

    def key(index: jax.Array, image: jax.Array) -> jax.Array:
        return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), index), image)

    return jax.vmap(key)(jnp.broadcast_to(index, image_ids.shape), image_ids)


def most_probable(logits: jax.Array) -> jax.Array:
    """Labels [...] of logits [..., C]: uint8, or int32 for more than 256 classes."""
    dtype = jnp.uint8 if logits.shape[-1] <= 256 else jnp.int32
    return jnp.argmax(logits, axis=-1).astype(dtype)


def _chunk(latents: np.ndarray, first: int, times: int) -> np.ndarray:
    """[B * times, CHUNK, h, w, d]: the latents of the samples from `first` on, for each copy."""
    samples = np.minimum(first + np.arange(CHUNK * times), latents.shape[1] - 1)
    of_copies = samples.reshape(CHUNK, times).T
    return latents[:, of_copies].reshape(-1, CHUNK, *latents.shape[2:])


def _output(logits: jax.Array, probabilities: bool) -> jax.Array:
    return jax.nn.softmax(logits) if probabilities else most_probable(logits)


def _encode(network, params, images):
    return network.encode(params, images)


def _draw(
    network, mean, probabilities, mesh, times, params, features, seed, ids, first, count, latents
):
    num_images = len(ids)
    features, ids = devices.repeat(mesh, (features, ids), times)

    def one(index):
        keys = sample_keys(seed, first + devices.numbers(index, num_images, times), ids)
        given = [z if z is None else z[:, index] for z in latents]
        sample = network.sample(params, features, keys, mean, given)
        return _output(sample.logits, probabilities), tuple(sample.latents)

    def write(index, samples):
        return jax.tree.map(lambda all_, new: all_.at[index].set(new), samples, one(index))

    # One sample after the other: as fast as all at once, in a fraction of the memory.
    shapes = jax.eval_shape(one, 0)
    empty = jax.tree.map(lambda leaf: jnp.zeros((CHUNK, *leaf.shape), leaf.dtype), shapes)
    drawn = jax.lax.fori_loop(0, count, write, empty)
    return jax.tree.map(functools.partial(devices.in_order, times=times), drawn)


def _decode(network, probabilities, params, features, latents, noise):
    sample = network.sample(params, features, None, mean=True, latents=latents, noise=noise)
    return _output(sample.logits, probabilities), tuple(sample.latents)


def _reconstruct(network, probabilities, params, images, labels):
    return _output(network.reconstruct(params, images, labels), probabilities)


def _priors(network, params, features, latents):
    return tuple(network.sample(params, features, None, mean=True, latents=latents).priors)


def _posteriors(network, params, images, labels, latents):
    outputs = network.train_outputs(params, None, images, labels, mean=True, latents=latents)
    return tuple(outputs.posteriors)
