"""GECO, ELBO, KL and weight decay against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hpunet_jax.objectives import (
    Reconstruction,
    batch_kl,
    build_objective,
    elbo,
    geco,
    kl_divergence,
    sum_of_squares,
    weight_decay,
)


def reconstruction(value, pixels=10.0):
    value = jnp.float32(value)
    return Reconstruction(value, value / pixels, jnp.float32(pixels), jnp.ones(()))


def test_the_multiplier_starts_at_one_and_rises_while_the_constraint_is_violated():
    objective = geco(kappa=0.05)
    params, state = objective.init()

    def loss(p, value):
        return objective.loss(p, state, reconstruction(value), [jnp.float32(3.0)])

    value = loss(params, 2.0)
    np.testing.assert_allclose(value.diagnostics["lagrange_multiplier"], 1.0, rtol=1e-6)
    np.testing.assert_allclose(value.loss, 1.0 * (2.0 - 0.05 * 10) + 3.0, rtol=1e-6)
    # Minimising moves against the gradient: upwards if violated, downwards if satisfied.
    assert jax.grad(lambda p: loss(p, 2.0).loss)(params).raw_multiplier < 0
    assert jax.grad(lambda p: loss(p, 0.1).loss)(params).raw_multiplier > 0


def test_the_moving_average_starts_at_the_first_value_and_the_gradient_passes_straight_through():
    objective = geco(kappa=0.05, decay=0.9)
    params, state = objective.init()
    for value, expected in ((2.0, 2.0), (4.0, 2.2), (0.0, 1.98)):
        state = objective.loss(params, state, reconstruction(value), []).state
        np.testing.assert_allclose(state.moving_average, expected, rtol=1e-6)
    gradient = jax.grad(lambda x: objective.loss(params, state, reconstruction(x), []).loss)(5.0)
    np.testing.assert_allclose(gradient, 1.0, rtol=1e-6)  # the multiplier, not (1 - decay) of it


def test_elbo_weighs_the_kl_terms():
    params, state = elbo(beta=2.0).init()
    value = elbo(beta=2.0).loss(params, state, reconstruction(7.0), [1.0, 2.0])
    assert value.loss == 13.0


def test_the_kl_agrees_with_its_closed_form_and_vanishes_only_for_equal_gaussians():
    rng = np.random.default_rng(0)
    q_mean, q_log, p_mean, p_log = rng.standard_normal((4, 2, 3, 3, 2))
    expected = (
        p_log - q_log + (np.exp(2 * q_log) + (q_mean - p_mean) ** 2) / (2 * np.exp(2 * p_log)) - 0.5
    )
    arguments = [jnp.float32(x) for x in (q_mean, q_log, p_mean, p_log)]
    np.testing.assert_allclose(kl_divergence(*arguments), expected.sum(axis=-1), rtol=2e-5)
    np.testing.assert_allclose(batch_kl(*arguments), expected.sum() / 2, rtol=2e-5)
    assert (kl_divergence(*arguments) > 0).all()
    np.testing.assert_array_equal(kl_divergence(*arguments[:2], *arguments[:2]), 0.0)


def test_the_kl_stays_finite_at_the_bound_of_the_log_standard_deviation():
    ten = jnp.full((1, 1, 1, 1), 10.0)
    assert np.isfinite(kl_divergence(ten, ten, -ten, -ten)).all()


def test_weight_decay_sums_the_squares_of_kernels_and_biases():
    params = {"conv": {"w": jnp.array([[3.0]]), "b": jnp.array([4.0])}}
    np.testing.assert_allclose(weight_decay(params, 1e-5), 25e-5, rtol=1e-6)


def test_the_squares_of_all_arrays_are_summed_with_one_sum_for_each_shape():
    shapes = [(3, 3, 4, 5), (5,), (), (3, 3, 4, 5), (5,), (0,)]
    tree = [np.random.default_rng(i).normal(size=shape) for i, shape in enumerate(shapes)]
    expected = sum(np.square(array).sum() for array in tree)
    arrays = [jnp.float32(array) for array in tree]
    np.testing.assert_allclose(sum_of_squares(arrays), expected, rtol=1e-6)
    sums = str(jax.make_jaxpr(sum_of_squares)(arrays)).count("reduce_sum")
    assert sums == 4


def test_an_unknown_objective_is_refused():
    with pytest.raises(ValueError, match="'sgd'"):
        build_objective({"name": "sgd"})
