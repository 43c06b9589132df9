"""The loss's gradient: against the recorded one, and against finite differences in float64."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.recorded import Recording
from hpunet_jax.augmentation import Batch
from hpunet_jax.networks import HPUNetConfig, hpunet
from hpunet_jax.objectives import GecoParams, geco, top_k_mask
from hpunet_jax.training.loss import batch_loss
from hpunet_jax.training.state import Trainable

RATE = 0.01


def test_every_variables_gradient_is_reproduced(recorded_set, comparisons, assert_reproduced):
    assert_reproduced("gradient norms of all variables", "gradient sums of all variables")
    if recorded_set != "lidc_thin":  # its tensors were too large to record
        assert_reproduced("gradient of a variable")
        assert len(comparisons("gradient of a variable")) > 700  # elbo, stoch and geco


def test_variables_without_a_recorded_gradient_have_none(comparisons):
    for c in comparisons("gradients that are zero"):
        assert c.ours.size
        assert not c.ours.any()


@pytest.fixture
def loss_in_float64(monkeypatch, golden_folder):
    """`batch_loss` of tiny as a function of its parameters, all of it computed in float64.

    The library's float32 casts are redirected, since nobody trains in float64.
    """
    monkeypatch.setattr(jnp, "float32", jnp.float64)
    module = sys.modules["hpunet_jax.objectives.cross_entropy"]
    chosen = lambda scores, *args: top_k_mask(scores.astype("float32"), *args)  # noqa: E731
    monkeypatch.setattr(module, "top_k_mask", chosen)

    recording = Recording(golden_folder, "tiny")
    config = HPUNetConfig(**{k: v for k, v in recording.model.items() if k != "name"})
    object.__setattr__(config, "dtype", "float64")
    to_float64 = lambda x: jnp.asarray(x, "float64")  # noqa: E731
    corner = np.s_[:, :16, :16]  # four times as fast
    batch = Batch(
        to_float64(recording["img"][corner]),
        recording.label[corner],
        to_float64(recording["mask"][corner]),
    )
    objective = geco(kappa=0.05, rate=RATE)
    state = objective.init()[1]

    def loss(params):
        return batch_loss(
            params,
            state,
            batch,
            jax.random.key(0),
            network=hpunet(config),
            objective=objective,
            top_k=0.1,
            weight_decay=1e-5,
        )[0]

    raw = GecoParams(to_float64(recording.raw_multiplier))
    return loss, Trainable(jax.tree.map(to_float64, recording.params), raw)


def test_the_gradient_of_every_parameter_agrees_with_finite_differences(request):
    """Along a random direction of each tensor; latents sampled, Gumbel top-k, weight decay."""
    with jax.enable_x64(True):
        loss, params = request.getfixturevalue("loss_in_float64")
        value, gradient = jax.jit(jax.value_and_grad(loss))(params)
        assert value.dtype == jnp.dtype("float64")
        loss = jax.jit(loss)
        leaves, structure = jax.tree.flatten(params)
        paths = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(params)]
        assert len(paths) == 2 * len(params.network) + 1  # kernels, biases, and the multiplier
        rng = np.random.default_rng(0)
        wrong = {}
        for i, (path, g) in enumerate(zip(paths, jax.tree.leaves(gradient), strict=True)):
            direction = rng.standard_normal(g.shape)
            direction /= np.linalg.norm(direction)
            expected = np.sum(g * direction)
            if "raw_multiplier" in path:
                expected /= -RATE  # GECO reverses and scales this gradient on purpose

            def moved(by, i=i, direction=direction):
                tree = [*leaves[:i], leaves[i] + by * direction, *leaves[i + 1 :]]
                return float(loss(jax.tree.unflatten(structure, tree)))

            # A difference across the kink of a ReLU is no derivative: then a smaller step decides.
            for step in (1e-6, 1e-7, 1e-8):
                difference = (moved(step) - moved(-step)) / (2 * step)
                rounding = 1e-13 / step  # of a loss of about 100
                if abs(difference - expected) <= 1e-5 * np.linalg.norm(g) + rounding:
                    break
            else:
                wrong[path] = (difference, expected)
        assert not wrong
