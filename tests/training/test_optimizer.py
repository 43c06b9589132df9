"""Learning-rate schedules of Appendix D, and TensorFlow 1's Adam."""

import copy

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import demo, lidc_hpunet
from hpunet_jax.objectives import GecoParams
from hpunet_jax.training import Trainable
from hpunet_jax.training.optimizer import (
    build_optimizer,
    build_schedule,
    changed_past,
    learning_rate_schedule,
    scale_by_adam_tf1,
)


def test_the_lidc_rate_falls_in_four_drops_from_1e_4_to_5e_6():
    config = lidc_hpunet.get_config()
    schedule = build_schedule(config.optimizer.learning_rate, config.training.steps)
    rates = [float(schedule(step)) for step in range(0, 240_000, 48_000)]
    np.testing.assert_allclose(rates[0], 1e-4, rtol=1e-6)
    np.testing.assert_allclose(rates[-1], 0.5e-5, rtol=1e-6)
    np.testing.assert_allclose(np.divide(rates[1:], rates[:-1]), 0.05**0.25, rtol=1e-6)
    assert float(schedule(47_999)) == rates[0]
    assert float(schedule(10**7)) == rates[-1]


def test_boundaries_can_be_given():
    schedule = learning_rate_schedule(2e-4, 1e-4, drops=1, steps=100_000, boundaries=(70_000,))
    np.testing.assert_allclose([schedule(69_999), schedule(70_000)], [2e-4, 1e-4], rtol=1e-6)
    with pytest.raises(ValueError, match="boundaries has 1 entries"):
        learning_rate_schedule(2e-4, 1e-4, drops=2, steps=10, boundaries=(5,))


def test_no_drops_keep_the_initial_rate():
    assert float(learning_rate_schedule(1e-3, 1e-4, drops=0, steps=10)(9)) == np.float32(1e-3)


def test_tf1_adam_follows_its_formula_and_differs_from_optax_in_epsilon_alone():
    gradients = [0.3, -0.2, 0.5]
    transform = scale_by_adam_tf1(0.9, 0.999, 1e-8)
    state, m, v = transform.init(jnp.float32(0.0)), 0.0, 0.0
    for t, gradient in enumerate(gradients, start=1):
        update, state = transform.update(jnp.float32(gradient), state)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        expected = m * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) / (np.sqrt(v) + 1e-8)
        np.testing.assert_allclose(update, expected, rtol=1e-4)  # 1 - b2^t in float32
    reference = optax.scale_by_adam(0.9, 0.999, 1e-8)
    tiny = jnp.float32(1e-9)
    ours, _ = transform.update(tiny, transform.init(tiny))
    theirs, _ = reference.update(tiny, reference.init(tiny))
    assert ours < 0.1 * theirs


def one_update(config, gradient):
    """The updates of a network of one parameter, and of GECO's raw multiplier, by one gradient."""
    params = Trainable(jnp.float32(0), GecoParams(jnp.float32(0)))
    transform = build_optimizer(config, steps=10)
    gradients = Trainable(jnp.float32(gradient), GecoParams(jnp.float32(gradient)))
    updates, _ = transform.update(gradients, transform.init(params), params)
    return float(updates.network), float(updates.objective.raw_multiplier)


def test_clipping_bounds_the_gradient_and_unknown_optimizers_are_refused():
    config = demo.get_config().optimizer.unlock()
    config.clip_norm = 1e-12
    network, _ = one_update(config, 1e3)
    assert abs(network) < 1e-3 * config.learning_rate.initial  # 1e-12 against epsilon 1e-8
    config.name = "sgd"
    with pytest.raises(ValueError, match=r"optimizer\.name"):
        build_optimizer(config, steps=10)


def test_the_multiplier_learns_at_its_own_multiple_of_the_rate():
    config = lidc_hpunet.get_config().optimizer.unlock()
    network, multiplier = one_update(config, 2.0)
    assert multiplier == network  # as in the official code
    config.multiplier_lr_factor = 5.0
    assert one_update(config, 2.0) == pytest.approx((network, 5 * network))


def test_going_on_for_longer_keeps_the_past_or_says_how():
    """LIDC's run: four drops over 240,000 steps, then 480,000."""
    config = lidc_hpunet.get_config().unlock()
    longer = copy.deepcopy(config)
    longer.training.steps = 2 * config.training.steps
    assert changed_past(config, config, 240_000) is None
    assert changed_past(config, longer, 48_000) is None  # the first drop is still to come
    problem = changed_past(config, longer, 240_000)
    assert "at step 48,000" in problem
    boundaries = (48_000, 96_000, 144_000, 192_000)
    assert f"boundaries='{boundaries}'" in problem  # as a shell needs it
    longer.optimizer.learning_rate.boundaries = boundaries
    assert changed_past(config, longer, 240_000) is None
