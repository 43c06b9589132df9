"""Whole images of any size: at once where they fit, else in overlapping tiles of one hypothesis.

The network is fully convolutional: on a larger image it has larger grids of latents. An image that
is larger than a tile is cut into overlapping tiles, each of which keeps its middle (Ronneberger et
al., 2015). The noise of a sample is drawn once for the image, one field over the latent grid of
each scale, and each tile takes its part of it; so tiles agree where they overlap, and a sample is
one hypothesis of the whole image. The samples of an image are split over all devices of the model
(devices.py).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Integer, Shaped

from hpunet_jax.inference import devices, programs
from hpunet_jax.inference.inputs import as_unit_images, mean_flags
from hpunet_jax.inference.marginal import Drawn
from hpunet_jax.inference.model import Model
from hpunet_jax.inference.padding import pad_to
from hpunet_jax.inference.summing import given_noise, like, mean_over_samples, over_samples
from hpunet_jax.inference.tiles import TILE, Plan, Tile, plan_tiles
from hpunet_jax.networks import Network, check_image_shape


class Samples(NamedTuple):
    """Samples of a whole image.

    Attributes:
      labels: uint8 (int32 for more than 256 classes) [N, H, W].
      mean: the samples' mean class probabilities.
      std: their standard deviation over the samples.
    """

    labels: Integer[np.ndarray, "N H W"]
    mean: Float[np.ndarray, "H W C"]
    std: Float[np.ndarray, "H W C"]


def sample_whole(
    model: Model,
    image: Shaped[np.ndarray, "H W channels"],
    num_samples: int,
    seed: int = 0,
    image_id: int = 0,
    *,
    scales: Sequence[int] | None = None,
    tile: Sequence[int] = TILE,
) -> Samples:
    """The samples of `draw_whole`, with mean and standard deviation of their probabilities."""
    labels, mean, std = _sampled(
        _draw_moments, model, image, num_samples, seed, image_id, scales, tile
    )
    return Samples(labels[:, 0], mean[0], std[0])


def draw_whole(
    model: Model,
    image: Shaped[np.ndarray, "H W channels"],
    num_samples: int,
    seed: int = 0,
    image_id: int = 0,
    *,
    scales: Sequence[int] | None = None,
    tile: Sequence[int] = TILE,
) -> Drawn:
    """Samples of a whole image of any size, and their mean class probabilities.

    An image of a size that the network takes, not larger than a tile, has the samples that
    `Model.sample` draws with the same seed and `image_ids=[image_id]`.

    Args:
      model: the model; not one that extrapolates.
      image: [H, W, channels], as for `Model.sample`, of any height and width.
      num_samples: number of samples N.
      seed: seed of the latents.
      image_id: tells the noise of images apart; slices of a volume have the same.
      scales: the latent scales to sample, as for `Model.sample`.
      tile: greatest height and width that the network sees at once.

    Returns:
      Labels [N, 1, H, W], marginal and first [1, H, W, C].

    Raises:
      ValueError: for an image of other channels or values.
    """
    return Drawn(*_sampled(_draw, model, image, num_samples, seed, image_id, scales, tile))


def reconstruct_whole(
    model: Model,
    image: Shaped[np.ndarray, "H W channels"],
    labels: Integer[np.ndarray, "H W"],
    *,
    tile: Sequence[int] = TILE,
) -> Integer[np.ndarray, "H W"]:
    """Reconstructs a segmentation of a whole image through the posterior means, as `Model` does.

    Args:
      model: the model; not one that extrapolates.
      image: as for `draw_whole`.
      labels: the segmentation, in 0 to C - 1.
      tile: as for `draw_whole`.

    Returns:
      uint8 (int32 for more than 256 classes) [H, W].

    Raises:
      ValueError: for an image of other channels or values.
    """
    plan, padded, cut = _prepare(model.network, image, tile)
    padded_labels, _ = pad_to(labels.astype(np.int32), plan.size)
    rebuild = _program(_reconstruct, model.network, plan)

    def of_tile(place: Tile) -> Any:
        return (rebuild(model.params, padded[place.seen][None], padded_labels[place.seen][None]),)

    (rebuilt,) = _join(plan, of_tile, (1,))
    return rebuilt[0, *cut]


def noise_fields(
    network: Network,
    shape: tuple[int, ...],
    num_samples: int,
    seed: int,
    image_id: int,
    mean: Sequence[bool] = (),
) -> tuple[Float[np.ndarray, "N _h _w _d"], ...]:
    """The noise of some samples over an image's grid of latents, as `Model.sample` draws it.

    Args:
      network: the network.
      shape: [H, W, channels] of the padded image.
      num_samples: number of samples N.
      seed: seed of the latents.
      image_id: what tells the noise of images apart.
      mean: the scales without noise, True for each; () for none.

    Returns:
      float32 for each latent scale, coarse to fine.
    """
    grids = programs.latent_shapes(network, shape)
    draw = programs.program(_normal, network, shape, num_samples, grids)
    fields = programs.to_numpy(draw(seed, np.array([image_id], np.int32)))
    off = list(mean) or [False] * len(fields)
    return tuple(np.where(fixed, np.float32(0), z) for fixed, z in zip(off, fields, strict=True))


def _prepare(
    network: Network, image: np.ndarray, tile: Sequence[int]
) -> tuple[Plan, np.ndarray, tuple[slice, slice]]:
    """The plan, the padded image as float32 in [0, 1], and what cuts the image out of it."""
    image = as_unit_images(np.asarray(image)[None])[0]
    if not image.size:
        raise ValueError("the image has no pixels.")
    plan = plan_tiles(image.shape[:2], network.size_multiple, tile)
    padded, cut = pad_to(image, plan.size)
    check_image_shape(network, padded.shape)
    return plan, padded, cut


def _sampled(
    function: Callable[..., Any],
    model: Model,
    image: np.ndarray,
    num_samples: int,
    seed: int,
    image_id: int,
    scales: Sequence[int] | None,
    tile: Sequence[int],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels [N, 1, H, W] and two maps [1, H, W, C] that `_draw` or `_draw_moments` gives."""
    network = model.network
    plan, padded, cut = _prepare(network, image, tile)
    mean = mean_flags(scales, network.num_latent_scales)
    noise = noise_fields(network, padded.shape, num_samples, seed, image_id, mean)
    draw = _program(function, network, plan, num_samples, devices.mesh_of(model.params))

    def of_tile(place: Tile) -> Any:
        return draw(model.params, padded[place.seen][None], _part(network, noise, plan, place))

    labels, one, other = _join(plan, of_tile, (2, 1, 1))
    return labels[:, :, *cut], one[:, *cut], other[:, *cut]


def _program(
    function: Callable[..., Any], network: Network, plan: Plan, *settings: Any
) -> Callable[..., Any]:
    """A function of this module, compiled for a tile."""
    return programs.program(function, network, (*plan.tile, network.image_channels), *settings)


def _part(
    network: Network, noise: Sequence[np.ndarray], plan: Plan, tile: Tile
) -> tuple[np.ndarray, ...]:
    """A tile's part of the noise [N, 1, h, w, d] of each scale; global latents are all its."""
    shapes = programs.latent_shapes(network, (*plan.tile, network.image_channels))
    parts = []
    for z, (height, width, _) in zip(noise, shapes, strict=True):
        sides = zip((height, width), z.shape[1:3], plan.tile, tile.seen, strict=True)
        down, across = (
            slice(0, n) if n == all_ else slice(seen.start * n // side, seen.stop * n // side)
            for n, all_, side, seen in sides
        )
        parts.append(z[:, None, down, across])
    return tuple(parts)


def _join(
    plan: Plan, of_tile: Callable[[Tile], Sequence[Any]], axes: Sequence[int]
) -> list[np.ndarray]:
    """What a function gives of each tile as maps of the padded image; `axes` are its rows'."""
    joined: list[np.ndarray] = []
    for tile, parts in _computed(plan, of_tile):
        if not joined:
            joined = [
                np.empty((*p.shape[:axis], *plan.size, *p.shape[axis + 2 :]), p.dtype)
                for p, axis in zip(parts, axes, strict=True)
            ]
        for whole, part, axis in zip(joined, parts, axes, strict=True):
            before = (slice(None),) * axis
            whole[*before, *tile.kept] = part[*before, *tile.inside]
    return joined


def _computed(
    plan: Plan, of_tile: Callable[[Tile], Sequence[Any]]
) -> Iterator[tuple[Tile, list[np.ndarray]]]:
    for tile in plan.tiles:
        yield tile, [np.asarray(part) for part in of_tile(tile)]


def _normal(network, num_samples, grids, seed, image_ids):
    del network

    def one(index):
        keys = programs.sample_keys(seed, index, image_ids)
        return tuple(
            jax.random.normal(jax.random.fold_in(keys[0], scale), grid)
            for scale, grid in enumerate(grids)
        )

    return jax.vmap(one)(jnp.arange(num_samples))


def _draw(network, num_samples, mesh, params, image, noise):
    return mean_over_samples(network, params, image, given_noise(noise), num_samples, mesh)


def _draw_moments(network, num_samples, mesh, params, image, noise):
    def fold(sums, logits, numbers):
        mean, squares = sums  # Welford's mean and sum of squared deviations, which do not cancel
        counts, probabilities = like(numbers < num_samples, mean), jax.nn.softmax(logits)
        off = jnp.where(counts, probabilities - mean, 0)
        mean = mean + off / like(numbers // times + 1, mean)
        return mean, squares + off * (probabilities - mean)

    def empty(shape):
        return jnp.zeros(shape), jnp.zeros(shape)

    times, noise = devices.copies(mesh, 1), given_noise(noise)
    labels, sums = over_samples(network, params, image, noise, num_samples, mesh, fold, empty)
    mean, squares = sums
    if times > 1:  # Chan et al.: the moments of all from those of the parts
        samples = like((num_samples - jnp.arange(times) + times - 1) // times, mean)
        of_parts = mean
        mean = devices.added(samples * of_parts, 1) / num_samples
        squares = devices.added(squares + samples * (of_parts - mean) ** 2, 1)
    return labels, mean, jnp.sqrt(squares / num_samples)


def _reconstruct(network, params, image, labels):
    return programs.most_probable(network.reconstruct(params, image, labels))
