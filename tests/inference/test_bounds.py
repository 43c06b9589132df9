"""Bounds of a segmentation's log-probability, against a Gaussian case in closed form."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from hpunet_jax.inference.bounds import Weights, bounds_of, log_density, weights_of
from hpunet_jax.networks import Gaussian

NOISE = 0.7  # standard deviation of y given z; z is standard normal
Y = np.float32([0.3, -1.2, 2.5])


def grid(values):
    return jnp.asarray(values, jnp.float32).reshape(-1, 1, 1, 1)


def sampled_bounds(mean, std, num_samples):
    """Bounds of log p(y) with z ~ N(mean, std), for y = Y."""
    q = Gaussian(grid(mean), grid(np.full(3, np.log(std))))
    p = Gaussian(grid(np.zeros(3)), grid(np.zeros(3)))
    noise = np.random.default_rng(0).normal(size=(num_samples, 3)).astype(np.float32)
    parts = []
    for row in noise:
        z = mean + std * row
        reconstruction = scipy.stats.norm.logpdf(Y, z, NOISE).astype(np.float32)
        parts.append(weights_of(jnp.asarray(reconstruction), [q], [p], [grid(z)]))
    return bounds_of(Weights(*(np.stack(part) for part in zip(*parts, strict=True))), 4)


def test_with_the_exact_posterior_every_importance_weighted_bound_is_the_log_probability():
    exact = scipy.stats.norm.logpdf(Y, 0, np.hypot(1, NOISE))
    mean, std = Y / (1 + NOISE**2), NOISE / np.hypot(1, NOISE)
    for num_samples in (1, 5):
        found = sampled_bounds(mean, std, num_samples)
        np.testing.assert_allclose(found.importance_weighted, exact, atol=1e-4)
    found = sampled_bounds(mean, std, 100)
    np.testing.assert_allclose(found.elbo, exact, atol=0.3)  # of 100 samples


def test_with_another_posterior_more_samples_tighten_the_bound_and_the_elbo_is_lower():
    exact = scipy.stats.norm.logpdf(Y, 0, np.hypot(1, NOISE))
    found = sampled_bounds(np.zeros_like(Y), 1.0, 400)  # of the prior
    np.testing.assert_allclose(found.kl, 0, atol=1e-6)
    elbo = -np.log(NOISE * np.sqrt(2 * np.pi)) - (Y**2 + 1) / (2 * NOISE**2)
    np.testing.assert_allclose(found.elbo, elbo, rtol=0.2)
    assert (found.elbo < exact - 0.2).all()
    np.testing.assert_allclose(found.importance_weighted, exact, atol=0.3)
    np.testing.assert_allclose(found.per_pixel.elbo, found.elbo / 4)


def test_densities_sum_over_the_grid():
    rng = np.random.default_rng(1)
    mean, log_std, z = rng.normal(size=(3, 2, 2, 3, 2)).astype(np.float32)
    expected = scipy.stats.norm.logpdf(z, mean, np.exp(log_std)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(log_density(Gaussian(mean, log_std), z), expected, rtol=1e-4)


def test_the_bounds_of_a_model_are_those_of_its_gaussians_and_logits(tiny_sampler, images):
    model = tiny_sampler
    labels = np.random.default_rng(1).integers(0, 3, images.shape[:3])
    found = model.elbo(images, labels, num_samples=6)
    assert found.kl.shape == (3, 2)
    (q, *_), (p, *_) = model.posterior(images, labels), model.prior(images)
    kl = (
        p.log_std
        - q.log_std
        + (np.exp(2 * q.log_std) + (q.mean - p.mean) ** 2) / (2 * np.exp(2 * p.log_std))
        - 0.5
    ).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(found.kl[:, 0], kl, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.elbo, found.reconstruction - found.kl.sum(axis=-1), rtol=1e-5)
    assert found.num_pixels == 16 * 24
    assert (found.importance_weighted < 0).all()
    alone = model.elbo(images[1], labels[1], num_samples=6, image_ids=1)
    assert alone.elbo == pytest.approx(found.elbo[1], rel=1e-4)
    in_twos = model.elbo(images, labels, num_samples=6, batch_size=2)
    np.testing.assert_allclose(in_twos.elbo, found.elbo, rtol=1e-4)
