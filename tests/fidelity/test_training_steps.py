"""Five training steps from the recorded weights give the recorded numbers."""

import jax
import numpy as np
import pytest

from hpunet_jax.augmentation import Batch
from hpunet_jax.objectives import GecoParams
from hpunet_jax.training.loss import batch_loss
from hpunet_jax.training.state import Trainable

ROWS = (
    "loss",
    "KL",
    "multiplier",
    "moving average",
    "reconstruction",
    "weight decay",
    "constraint",
    "weights after",
)


@pytest.mark.parametrize("row", ROWS)
def test_five_steps_are_reproduced(row, assert_reproduced):
    assert_reproduced(f"five steps: {row}")


def test_the_training_step_s_own_loss_reports_the_recorded_first_step(recording, recorded_set):
    """`batch_loss` puts the terms together as the comparisons do; its gradient is tested, too."""
    if recorded_set != "tiny":
        pytest.skip("how the terms are put together does not depend on the network")

    @jax.jit
    def first_step(params):
        return batch_loss(
            params,
            recording.geco.init()[1],
            Batch(recording.image, recording.label, recording.mask),
            jax.random.key(0),
            network=recording.network,
            objective=recording.geco,
            top_k=recording.top_k,
            weight_decay=1e-5,
            stochastic=False,
        )

    params = Trainable(recording.params, GecoParams(recording.raw_multiplier))
    loss, (state, diagnostics) = first_step(params)
    expected = {name: recording[f"traj/{name}"][0] for name in ("total", "ma_var_after")}
    np.testing.assert_allclose(loss, expected["total"], rtol=1e-5)
    np.testing.assert_allclose(state.moving_average, expected["ma_var_after"], rtol=1e-5)
    for ours, recorded in {
        "loss": "total",
        "reconstruction_sum": "rec_loss_sum",
        "reconstruction_per_pixel": "rec_loss_mean",
        "weight_decay": "reg",
        "kl_sum": "kl_sum",
        "lagrange_multiplier": "lagmul",
        "moving_average": "ma_var_after",
        "moving_average_per_pixel": "ma_rec_loss_mean",
    }.items():
        value = recording[f"traj/{recorded}"][0]
        np.testing.assert_allclose(diagnostics[ours], value, rtol=1e-5, err_msg=ours)
