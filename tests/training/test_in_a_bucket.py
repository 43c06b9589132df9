"""Training into a bucket: the same run as on a disk, whatever happens to its saves."""

import csv
import io
import itertools

import jax
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from hpunet_jax import buckets, files, load
from hpunet_jax.buckets import BucketError, place
from hpunet_jax.checkpoints import CheckpointError, Checkpoints
from hpunet_jax.training import train
from tests.buckets import BUCKET, REFUSING, S3, clients_of, gs_server
from tests.sweeps.sweep_program import EXAMPLES, get_config

pytestmark = pytest.mark.xdist_group("buckets")


class PowerCut(Exception):
    """Ends a run in the middle of a save."""


def batches_from(step):
    """Batches that depend on the step."""
    for i in itertools.count(step):
        yield {name: np.roll(array, i, axis=0) for name, array in EXAMPLES.items()}


def rows(folder):
    text = files.read_bytes(folder / "metrics.csv").decode()
    return [
        {name: value for name, value in row.items() if name != "images_per_second"}
        for row in csv.DictReader(io.StringIO(text))
    ]


def test_a_run_whose_save_was_cut_off_ends_as_if_it_had_been_on_a_disk(tmp_path, monkeypatch):
    config, one = get_config(), jax.devices()[:1]
    server = S3()
    with clients_of(monkeypatch, server.port):
        run = place(f"s3://{BUCKET}/a run [1]", "the run")
        whole = train(config, tmp_path, batches_from, one)

        upload = buckets.upload

        def cut(file, path):
            if str(path).endswith("/4/digests.json"):
                raise PowerCut
            upload(file, path)

        monkeypatch.setattr(buckets, "upload", cut)
        with pytest.raises(PowerCut):
            train(config, run, batches_from, one)
        monkeypatch.setattr(buckets, "upload", upload)
        with Checkpoints(run) as checkpoints:
            assert checkpoints.steps() == [2]
        assert files.names_in(run / "checkpoints" / "4")  # what the cut left

        resumed = train(config, run, batches_from, one)
        jax.tree.map(np.testing.assert_array_equal, whole, resumed)
        assert rows(run) == rows(tmp_path)
        with Checkpoints(run) as checkpoints:
            assert checkpoints.steps() == [2, 4]
        assert files.names_in(run / ".lock") == []
        names = [name for name in files.names_in(run) if name.startswith("events.out")]
        for name in names:
            buckets.download(run / name, tmp_path / name)
        events = itertools.chain(*(EventFileLoader(str(tmp_path / n)).Load() for n in names))
        assert {1, 2, 3, 4} == {event.step for event in events if event.summary.value}

        images = EXAMPLES["image"]
        here, there = load(tmp_path), load(str(run))
        np.testing.assert_array_equal(here.sample(images, 2), there.sample(images, 2))
        assert there.digest() == here.digest()
        assert load(str(run), step=2).digest() != here.digest()

        (name,) = [n for n in buckets.files_below(run) if n.endswith("4/params/_METADATA")]
        with files.write_aside(run / name) as aside:
            aside.write_bytes(b"{}")
        with pytest.raises(CheckpointError, match=r"s3://runs/a run \[1\]/checkpoints/4 cannot be"):
            load(str(run))
    server.stop()


def test_checkpoints_beyond_those_to_keep_are_removed_from_the_bucket(monkeypatch):
    server = S3()
    with clients_of(monkeypatch, server.port):
        run = place(f"s3://{BUCKET}/keep", "the run")
        with Checkpoints(run, keep=2) as checkpoints:
            for step in (1, 2, 3):
                checkpoints.save(step, {"a": {"w": np.ones(2)}}, {"step": step}, get_config())
            assert checkpoints.steps() == [2, 3]
            with pytest.raises(ValueError, match="holds a checkpoint of a later step than 2"):
                checkpoints.save(2, {"a": {"w": np.ones(2)}}, {"step": 2}, get_config())
        assert files.names_in(run / "checkpoints") == ["2", "3", "sealed.txt"]
    server.stop()


def test_a_bucket_that_refuses_writes_ends_a_run_before_it_begins(monkeypatch):
    message = f"gs://{REFUSING}/run/.lock/1 cannot be written"
    refused = pytest.raises(BucketError, match=message)
    with gs_server() as port, clients_of(monkeypatch, gs=port), refused:
        train(get_config(), f"gs://{REFUSING}/run", batches_from, jax.devices()[:1])
