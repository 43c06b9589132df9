"""How probable given segmentations are: bounds of log p(Y|X) in nats (Section 2, Eq. 5).

Of latents z ~ Q(.|X, Y), every sample has the weight P(Y|z, X) P(z|X) / Q(z|X, Y), whose mean is
p(Y|X). The mean of the weights' logarithms is the evidence lower bound (ELBO); the logarithm of the
mean of k weights is a bound, too, the importance-weighted one (Burda et al., 2016), which grows
towards log p(Y|X) with k.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy  # its parts load when they are used
from jaxtyping import Array, Float, Integer

from hpunet_jax.inference.programs import CHUNK, program, sample_keys
from hpunet_jax.networks import Gaussian, Network
from hpunet_jax.objectives.kl import kl_divergence


class Bounds(NamedTuple):
    """Bounds of log p(Y|X) for each image, in nats.

    Attributes:
      elbo: the evidence lower bound: reconstruction less the sum of `kl`.
      importance_weighted: the importance-weighted bound of all samples.
      reconstruction: the mean of log P(Y|z, X), summed over the pixels.
      kl: [B, L], the mean KL divergence of each latent scale, coarse to fine.
      num_pixels: number of pixels of an image; a bound divided by it is one per pixel.
    """

    elbo: Float[np.ndarray, "*B"]
    importance_weighted: Float[np.ndarray, "*B"]
    reconstruction: Float[np.ndarray, "*B"]
    kl: Float[np.ndarray, "*B L"]
    num_pixels: int

    @property
    def per_pixel(self) -> "Bounds":
        """The same in nats per pixel."""
        number = self.num_pixels
        return Bounds(
            self.elbo / number,
            self.importance_weighted / number,
            self.reconstruction / number,
            self.kl / number,
            num_pixels=1,
        )


class Weights(NamedTuple):
    """What the bounds are made of, of one sample or of several.

    Attributes:
      reconstruction: log P(Y|z, X), summed over the pixels.
      log_ratio: log P(z|X) - log Q(z|X, Y), summed over the latents.
      kl: D_KL(Q || P) of each scale, given the coarser latents.
    """

    reconstruction: Float[Array | np.ndarray, "*N B"]
    log_ratio: Float[Array | np.ndarray, "*N B"]
    kl: Float[Array | np.ndarray, "*N B L"]


def bounds_of(weights: Weights, num_pixels: int) -> Bounds:
    """The bounds that the weights [N, B] of N samples give."""
    reconstruction, log_ratio, kl = (np.asarray(of_samples) for of_samples in weights)
    logs = reconstruction + log_ratio
    weighted = scipy.special.logsumexp(logs, axis=0) - np.log(len(logs))
    reconstruction, kl = reconstruction.mean(axis=0), kl.mean(axis=0)
    return Bounds(reconstruction - kl.sum(axis=-1), weighted, reconstruction, kl, num_pixels)


def weights_of(
    reconstruction: Float[Array, " B"],
    posteriors: Sequence[Gaussian],
    priors: Sequence[Gaussian],
    latents: Sequence[Float[Array, "B _h _w _d"]],
) -> Weights:
    """The weights of a sample z ~ Q of each image.

    Args:
      reconstruction: log P(Y|z, X), summed over the pixels.
      posteriors: Q of each scale, given the coarser latents.
      priors: P of each scale, given the coarser latents.
      latents: the sample.

    Returns:
      Its weights.
    """
    log_ratio, kl = jnp.zeros_like(reconstruction), []
    for q, p, z in zip(posteriors, priors, latents, strict=True):
        log_ratio += log_density(p, z) - log_density(q, z)
        kl.append(jnp.sum(kl_divergence(q.mean, q.log_std, p.mean, p.log_std), axis=(1, 2)))
    nothing = jnp.zeros((len(reconstruction), 0))
    return Weights(reconstruction, log_ratio, jnp.stack(kl, axis=-1) if kl else nothing)


def log_density(gaussian: Gaussian, z: Float[Array | np.ndarray, "B h w d"]) -> Float[Array, " B"]:
    """The logarithm of a Gaussian's density at z, in nats, summed over the grid."""
    standardised = (z - gaussian.mean) * jnp.exp(-gaussian.log_std)
    logs = -0.5 * (standardised**2 + jnp.log(2 * jnp.pi)) - gaussian.log_std
    return jnp.sum(logs, axis=(1, 2, 3))


def draw_weights(
    network: Network,
    params: Any,
    images: Float[np.ndarray, "B H W c"],
    labels: Integer[np.ndarray, "B H W"],
    *,
    seed: int,
    num_samples: int,
    image_ids: Integer[np.ndarray, " B"],
) -> Weights:
    """The weights [N, B] of samples of the posterior.

    Args:
      network: the network.
      params: its parameters.
      images: the images.
      labels: their segmentations.
      seed: the seed.
      num_samples: number of samples N.
      image_ids: what tells the images' noise apart.

    Returns:
      Arrays of NumPy.
    """
    run = program(_weights, network, images.shape)
    parts = []
    for first in range(0, num_samples, CHUNK):
        part = run(params, images, labels, seed, image_ids, first)
        parts.append(jax.tree.map(lambda a, n=num_samples - first: np.asarray(a)[:n], part))
    return jax.tree.map(lambda *part: np.concatenate(part), *parts)


def _weights(network, params, images, labels, seed, image_ids, first):
    def one(index):
        keys = sample_keys(seed, index, image_ids)
        outputs = network.train_outputs(params, keys, images, labels)
        log_probabilities = jax.nn.log_softmax(outputs.logits)
        chosen = jnp.take_along_axis(log_probabilities, labels[..., None], axis=-1)
        reconstruction = jnp.sum(chosen, axis=(1, 2, 3))
        return weights_of(reconstruction, outputs.posteriors, outputs.priors, outputs.latents)

    return jax.lax.map(one, first + jnp.arange(CHUNK))
