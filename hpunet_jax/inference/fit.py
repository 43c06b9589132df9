"""Latents that make marked pixels come out as marked: a user steers a segmentation (Section 4).

The latents are sought as noise: each scale is its prior mean plus its prior standard deviation
times noise, in which the hierarchical prior is a standard normal distribution whatever the coarser
scales are. From the prior mean, or the sample that agrees best with the marks, gradient steps climb
the marks' log-probability plus the noise's log-density. The marks' weight grows until all of them
come out.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Integer

from hpunet_jax.arguments import check_array
from hpunet_jax.inference.programs import most_probable, program
from hpunet_jax.networks import Network

LEARNING_RATE = 0.5
"""Of Adam, in prior standard deviations; it falls linearly to 0 over the steps of a weight."""
WEIGHTS = (1.0, 4.0, 16.0, 64.0)
"""Of the marks against the prior, one after the other until all marks come out."""
PASSES = 3
"""Passes of the decoder that a gradient step counts as: forward, and twice the work backward."""


class Fit(NamedTuple):
    """A segmentation fitted to marks.

    Attributes:
      labels: integers [H, W].
      latents: float32 [h, w, d] of each latent scale, which decode to them.
      unmet: bool [H, W], the marked pixels that did not come out as marked: the model could not
        produce them, or not within the budget.
      unusual: how unusual the latents are under the prior: how many standard deviations their
        log-density lies below that of a typical sample. 0 is a typical sample, more than about 3
        is hardly ever drawn, prior means lie far below 0.
      passes: passes of the decoder that it took, of which a gradient step counts as 3.
    """

    labels: Integer[np.ndarray, "H W"]
    latents: tuple[Float[np.ndarray, "h w d"], ...]
    unmet: Bool[np.ndarray, "H W"]
    unusual: float
    passes: int


def fit_marks(
    network: Network,
    params: Any,
    features: Any,
    shape: tuple[int, ...],
    marks: Integer[np.ndarray, "H W"],
    label: int,
    starts: tuple[Float[np.ndarray, "S _h _w _d"], ...],
    max_passes: int,
) -> Fit:
    """Fits latents to marks.

    Args:
      network: the network.
      params: its parameters.
      features: of a single image, as `encode` gives them.
      shape: the image's shape, [1, H, W, channels].
      marks: 1 where a pixel is to be of the class `label`, -1 where it is not to be, else 0.
      label: the class.
      starts: noise of each scale to start from, of S candidates.
      max_passes: the budget in passes of the decoder.

    Returns:
      The fit.
    """
    run = program(_evaluate, network, shape, label)
    climb = program(_climb, network, shape, label)

    def decoded(noise: tuple[Any, ...], passes: int) -> tuple[float, Fit]:
        agreement, labels, latents = jax.tree.map(np.asarray, run(params, features, noise, marks))
        unmet = np.where(marks > 0, labels[0] != label, (marks < 0) & (labels[0] == label))
        fit = Fit(labels[0], tuple(z[0] for z in latents), unmet, unusual(noise), passes)
        return float(agreement), fit

    candidates = [tuple(z[i : i + 1] for z in starts) for i in range(len(starts[0]))]
    best, most, noise = None, -np.inf, candidates[0]
    for passes, candidate in enumerate(candidates[:max_passes], start=1):
        agreement, fit = decoded(candidate, passes)
        if best is None or agreement > most:
            best, most, noise = fit, agreement, candidate
    assert best is not None  # max_passes is 1 at least
    # What a weight's steps come to is decoded once more, to be looked at.
    steps = ((max_passes - passes) // len(WEIGHTS) - 1) // PASSES
    for weight in WEIGHTS if steps > 0 else ():
        noise = climb(params, features, noise, marks, weight, steps)
        passes += PASSES * steps + 1
        fit = decoded(noise, passes)[1]
        unmet, least = fit.unmet.sum(), best.unmet.sum()
        if unmet < least or (unmet == least and fit.unusual < best.unusual):
            best = fit
        if not best.unmet.any():
            break
    return best._replace(passes=passes)


def unusual(noise: Sequence[Float[Array | np.ndarray, "..."]]) -> float:
    """How many standard deviations the log-density of noise lies below a typical sample's.

    The negative logarithm is, but for a constant, half the sum of n squares, which of standard
    normal noise has mean n / 2 and variance n / 2.
    """
    number = sum(z.size for z in noise)
    squares = sum(float(np.square(np.asarray(z, np.float64)).sum()) for z in noise)
    return float((squares - number) / np.sqrt(2 * number))


def check_marks(inside: Any, outside: Any, size: tuple[int, int]) -> Integer[np.ndarray, "H W"]:
    """The marks of a user: 1 inside, -1 outside, else 0.

    Args:
      inside: bools [H, W], or a list of pairs (row, column), counted from 0; None for no marks.
      outside: likewise.
      size: height and width of the image.

    Returns:
      int32 [H, W].

    Raises:
      ValueError: for marks outside the image, of another type or shape, that contradict each other,
        or none at all.
    """
    maps = [_mark_map(*marks, size) for marks in (("inside", inside), ("outside", outside))]
    if (both := maps[0] & maps[1]).any():
        row, column = np.argwhere(both)[0]
        raise ValueError(
            f"the pixel ({row}, {column}) is marked both inside and outside: leave one out."
        )
    if not (maps[0] | maps[1]).any():
        raise ValueError("no pixel is marked: give inside or outside at least one.")
    return maps[0].astype(np.int32) - maps[1]


def _mark_map(name: str, marks: Any, size: tuple[int, int]) -> Bool[np.ndarray, "H W"]:
    map_ = np.zeros(size, bool)
    if marks is None or (isinstance(marks, Sequence) and not len(marks)):
        return map_
    if isinstance(marks, np.ndarray | jax.Array) and marks.dtype.kind == "b":
        return check_array(name, np.asarray(marks), "b", size, "[H, W]")
    pixels = check_array(name, marks, "iu", (None, 2), "[n, 2] (or bools [H, W])")
    for row, column in pixels:
        if not (0 <= row < size[0] and 0 <= column < size[1]):
            raise ValueError(
                f"{name} marks the pixel ({row}, {column}), which lies outside the image of "
                f"{size[0]}x{size[1]} pixels."
            )
    map_[tuple(pixels.T)] = True
    return map_


def _objective(network, label, params, features, noise, marks, weight):
    """The quantity that is climbed; of it the marks' log-probability; the sample."""
    sample = network.sample(params, features, None, noise=noise)
    logits = sample.logits[0]
    inside = jax.nn.log_softmax(logits)[..., label]
    others = jnp.where(jnp.arange(logits.shape[-1]) == label, -jnp.inf, logits)
    outside = jax.nn.logsumexp(others, axis=-1) - jax.nn.logsumexp(logits, axis=-1)
    agreement = jnp.sum(jnp.where(marks > 0, inside, jnp.where(marks < 0, outside, 0.0)))
    prior = sum(-0.5 * jnp.sum(z**2) for z in noise)
    return weight * agreement + prior, (agreement, sample)


def _evaluate(network, label, params, features, noise, marks):
    _, (agreement, sample) = _objective(network, label, params, features, noise, marks, 1.0)
    return agreement, most_probable(sample.logits), tuple(sample.latents)


def _climb(network, label, params, features, noise, marks, weight, steps):
    optimizer = optax.adam(LEARNING_RATE)  # its rate falls below: `steps` is not compiled in

    def loss(noise):
        return -_objective(network, label, params, features, noise, marks, weight)[0]

    def step(number, state):
        noise, inner = state
        updates, inner = optimizer.update(jax.grad(loss)(noise), inner)
        updates = jax.tree.map(lambda update: update * (1 - number / steps), updates)
        return optax.apply_updates(noise, updates), inner

    return jax.lax.fori_loop(0, steps, step, (noise, optimizer.init(noise)))[0]
