"""Two processes with eight devices: split state, saved whole; an evaluation that they share."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from hpunet_jax import load
from hpunet_jax.checkpoints import Checkpoints
from hpunet_jax.evaluation.scores import load_scores
from hpunet_jax.training.resuming import resume
from hpunet_jax.training.setup import set_up
from tests.buckets import BUCKET, S3, clients_of
from tests.training import sharing_process
from tests.training.test_processes import ROOT, free_port
from tests.xla import xla_flags

pytestmark = pytest.mark.xdist_group("buckets")


def test_what_eight_devices_save_with_zero_is_the_same_on_one(tmp_path, monkeypatch):
    server, port = S3(), free_port()
    with clients_of(monkeypatch, server.port):
        bucket = f"s3://{BUCKET}/zero"
        started = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.training.sharing_process"),
                    *(str(port), str(i), str(tmp_path), bucket),
                ],
                cwd=ROOT,
                env={**os.environ, "XLA_FLAGS": xla_flags(devices=4)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for i in range(2)
        ]
        for process in started:
            _, message = process.communicate(timeout=300)
            assert process.returncode == 0, message[-3000:]

        result = json.loads((tmp_path / "result.json").read_text())
        assert result["devices"] == 8
        assert result["split"] > 10  # Adam's moments
        model = load(tmp_path)
        assert model.digest() == load(bucket).digest() == result["digest"]

        config = sharing_process.config_on_eight_devices()
        like = set_up(config, jax.devices()[:1]).init_state(jax.random.key(0))
        with Checkpoints(tmp_path) as here, Checkpoints(bucket) as there:
            a, b = (resume(checkpoints, config, like, 2) for checkpoints in (here, there))
        jax.tree.map(np.testing.assert_array_equal, a, b)
        assert jax.tree.leaves(a.optimizer)

        shared = load_scores(tmp_path / "scores.npz")
        alone = sharing_process.score(model, sharing_process.evaluation_batches())
        assert shared.num_images == 5
        for row, metrics in alone.rows.items():
            for metric, values in metrics.items():
                np.testing.assert_allclose(shared.rows[row][metric], values, atol=1e-6)
        np.testing.assert_array_equal(shared.subset_b, alone.subset_b)
        assert {p.name for p in tmp_path.glob("*.npz")} == {"scores.npz"}
    server.stop()
