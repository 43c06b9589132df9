"""Checkpoints in a bucket: what is downloaded of them, and how often."""

import ml_collections
import numpy as np
import pytest

from hpunet_jax import buckets
from hpunet_jax.buckets import place
from hpunet_jax.checkpoints import Checkpoints
from tests.buckets import BUCKET, S3, clients_of

pytestmark = pytest.mark.xdist_group("buckets")

PARAMS = {"a": {"w": np.ones(2, np.float32)}}
CONFIG = ml_collections.ConfigDict(
    {
        "model": {"name": "hpunet", "latent_dims": (1, 1)},
        "training": {"keep_best_by": "ged2", "ema_decay": 0.9},
    }
).lock()


def test_only_what_is_read_is_downloaded_and_that_once(monkeypatch):
    server = S3()
    with clients_of(monkeypatch, server.port):
        run = place(f"s3://{BUCKET}/run", "the run")
        with Checkpoints(run) as checkpoints:
            for step, ged2 in ((1, 0.5), (2, 0.3), (3, 0.4)):
                checkpoints.save(step, PARAMS, {"step": step}, CONFIG, PARAMS, {"ged2": ged2})

        downloaded = []
        download = buckets.download

        def noted(path, file):
            step, *item, _ = str(path).partition("/checkpoints/")[2].split("/")
            downloaded.append((int(step), item[0] if item else "", str(path)))
            download(path, file)

        monkeypatch.setattr(buckets, "download", noted)
        with Checkpoints(run) as checkpoints:
            assert checkpoints.step("best") == 2
            items = {(step, item) for step, item, _ in downloaded if item}
            assert items == {(3, "config"), *((step, "validation") for step in (1, 2, 3))}
            for _ in range(2):
                checkpoints.params(PARAMS, "best")
                checkpoints.ema(PARAMS, "best")
        items = {(step, item) for step, item, _ in downloaded if step == 2 and item}
        assert items == {(2, item) for item in ("config", "ema", "params", "validation")}
        assert len(downloaded) == len(set(downloaded))
    server.stop()
