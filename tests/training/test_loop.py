"""The loop: resuming, refusing, and what it leaves on disk."""

import csv
import itertools
import os
import resource
import signal
import threading

import jax
import ml_collections
import numpy as np
import pytest
from absl import logging

from hpunet_jax import load
from hpunet_jax.checkpoints import CheckpointError, Checkpoints
from hpunet_jax.folders import FolderInUseError
from hpunet_jax.training import train as train_on
from hpunet_jax.training.metrics_log import FILE_NAME
from hpunet_jax.training.setup import build_draw_batch

pytestmark = pytest.mark.xdist_group("loop")  # the same program again and again


@pytest.fixture
def tiny_config(tiny_config):
    """A network and an augmentation that compile faster still."""
    config = with_fields(tiny_config, model__num_scales=2, model__latent_dims=(1,)).unlock()
    config.model.convs_per_block = 1
    config.data.augmentation = ml_collections.ConfigDict({"translate": 2.0, "mirror": True})
    return config.lock()


@pytest.fixture
def examples(examples):
    """Their images as floats, which may also be NaN: one program for both."""
    return {**examples, "image": examples["image"] / np.float32(255)}


@pytest.fixture
def batches_from(examples):
    """A data set whose batches depend on the step, as the pipeline's do."""

    def start(step):
        for i in itertools.count(step):
            yield {name: np.roll(array, i, axis=0) for name, array in examples.items()}

    return start


class PowerCut(Exception):
    """Ends a run between two steps."""


def train(config, workdir, batches_from, **options):
    """Trains on one device, which compiles fastest."""
    return train_on(config, workdir, batches_from, devices=jax.devices()[:1], **options)


def until(batches_from, last_step):
    """The same batches, with a power cut after `last_step`."""

    def start(step):
        yield from itertools.islice(batches_from(step), last_step - step)
        raise PowerCut

    return start


def with_sigterm(batches_from, during_step):
    """The same batches; this process gets a SIGTERM when the step asks for its batch."""

    def start(step):
        for i, batch in enumerate(batches_from(step), start=step + 1):
            if i == during_step:
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    return start


def with_fields(config, **fields):
    copy = config.copy_and_resolve_references()
    copy.update_from_flattened_dict({k.replace("__", "."): v for k, v in fields.items()})
    return copy


def metrics(workdir):
    with (workdir / FILE_NAME).open(newline="") as file:
        return [
            {name: value for name, value in row.items() if name != "images_per_second"}
            for row in csv.DictReader(file)
        ]


def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(tmp_path, tiny_config, batches_from):
    whole = train(tiny_config, tmp_path / "whole", batches_from)
    handler = signal.getsignal(signal.SIGTERM)
    stopped = train(tiny_config, tmp_path / "parts", with_sigterm(batches_from, during_step=2))
    assert stopped.step == 2
    assert signal.getsignal(signal.SIGTERM) is handler
    with pytest.raises(PowerCut):
        train(tiny_config, tmp_path / "parts", until(batches_from, 3))  # not saved
    resumed = train(tiny_config, tmp_path / "parts", batches_from)
    jax.tree.map(np.testing.assert_array_equal, whole, resumed)
    rows = metrics(tmp_path / "whole")
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    assert rows == metrics(tmp_path / "parts")
    assert {
        "loss",
        "reconstruction_per_pixel",
        "lagrange_multiplier",
        "kl_0",
        "kl_sum",
        "learning_rate",
        "moving_average_per_pixel",
    } <= rows[0].keys()


def test_a_finished_run_is_left_alone(tmp_path, tiny_config, batches_from):
    final = train(tiny_config, tmp_path, batches_from, data_digest=lambda: "abc")
    reported_otherwise = with_fields(tiny_config, training__log_every=100)
    for config, digest in ((tiny_config, lambda: "abc"), (reported_otherwise, lambda: None)):
        again = train(config, tmp_path, batches_from, data_digest=digest)
        jax.tree.map(np.testing.assert_array_equal, final, again)
    for fields, message in (
        ({"evaluation__seed": 7}, r"step 4, .* evaluation.seed is 0 there and 7 here\. Give the"),
        ({"training__steps": 2}, r"nothing is left to train, .* training.steps is 4 there and 2"),
    ):
        with pytest.raises(CheckpointError, match=message):
            train(with_fields(tiny_config, **fields), tmp_path, batches_from)
    with pytest.raises(CheckpointError, match=r"has changed since .its digest was abc and is def"):
        train(tiny_config, tmp_path, batches_from, data_digest=lambda: "def")
    assert len(metrics(tmp_path)) == 4


def test_training_lowers_the_loss(tmp_path, tiny_config, batches_from):
    config = with_fields(
        tiny_config,
        training__steps=100,
        training__checkpoint_every=100,
        optimizer__learning_rate__initial=1e-2,
        objective__top_k=1.0,
    )
    train(config, tmp_path, batches_from)
    losses = [float(row["reconstruction_per_pixel"]) for row in metrics(tmp_path)]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_the_same_step_serves_one_device_and_four(tmp_path, tiny_config, batches_from):
    one = train(tiny_config, tmp_path / "1", batches_from)
    four = train_on(tiny_config, tmp_path / "4", batches_from, devices=jax.devices()[:4])
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(four), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_workdir_of_another_config_is_refused_and_kept(tmp_path, tiny_config, batches_from):
    train(tiny_config, tmp_path, batches_from)
    other = with_fields(tiny_config, model__base_channels=6)
    with pytest.raises(CheckpointError, match=r"model\.base_channels is 4 there and 6 here"):
        train(other, tmp_path, batches_from)
    assert load(tmp_path).config.model.base_channels == 4


def test_a_nan_loss_ends_the_run_and_keeps_the_earlier_checkpoint(
    tmp_path, tiny_config, batches_from
):
    def broken(step):
        for batch in batches_from(step):
            bad = np.full_like(batch["image"], np.nan)
            yield batch if step < 2 else {**batch, "image": bad}
            step += 1

    with pytest.raises(FloatingPointError, match=r"at step 3 .*; the checkpoint of step 2 is kept"):
        train(tiny_config, tmp_path, broken)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [2]


def test_a_diverging_loss_names_the_step_and_the_ways_out(tmp_path, tiny_config, batches_from):
    config = with_fields(tiny_config, optimizer__learning_rate__initial=10.0, training__steps=8)
    with pytest.raises(FloatingPointError, match=r"at step \d+ .*is not finite; .*learning_rate"):
        train(config, tmp_path, batches_from)


def test_what_does_not_fit_is_refused_before_anything_is_written(
    tmp_path, tiny_config, batches_from
):
    for fields, message in (
        ({"data__crop": (17, 16)}, "multiples of 2"),
        ({"mesh__data": 3}, "does not make 1 devices"),
    ):
        with pytest.raises(ValueError, match=message):
            train(with_fields(tiny_config, **fields), tmp_path / "new", batches_from)
    with pytest.raises(ValueError, match=r"batch_size=6 .* over mesh\.data=4"):
        train_on(
            with_fields(tiny_config, training__batch_size=6),
            tmp_path / "new",
            batches_from,
            devices=jax.devices()[:4],
        )
    assert not (tmp_path / "new").exists()


def test_a_longer_run_keeps_the_learning_rates_of_its_past(tmp_path, tiny_config, batches_from):
    train(tiny_config, tmp_path, batches_from)
    with pytest.raises(CheckpointError, match="keep those of the run with"):
        train(with_fields(tiny_config, training__steps=8), tmp_path, batches_from)


def test_a_workdir_is_used_by_one_run_at_a_time(tmp_path, tiny_config, batches_from):
    def meanwhile(step):
        with pytest.raises(FolderInUseError, match=f"in use by process {os.getpid()} on"):
            train(tiny_config, tmp_path, batches_from)
        yield from batches_from(step)

    train(tiny_config, tmp_path, meanwhile)
    assert len(metrics(tmp_path)) == 4


def test_the_stream_of_batches_is_closed(tmp_path, tiny_config, batches_from):
    closed = []

    def start(step):
        try:
            yield from batches_from(step)
        finally:
            closed.append(step)

    train(tiny_config, tmp_path, start)
    assert closed == [0]


@pytest.mark.parametrize("name", ["a[1]", "q?"])
def test_a_workdir_that_cannot_hold_checkpoints_is_refused_before_training(
    tmp_path, tiny_config, batches_from, name
):
    with pytest.raises(ValueError, match="takes for a pattern"):
        train(tiny_config, tmp_path / name, batches_from)
    assert not (tmp_path / name).exists()


def test_instance_labels_that_do_not_fit_the_model_are_refused(tiny_config):
    config = tiny_config.copy_and_resolve_references().unlock()
    config.data.num_ids = 5
    examples = {
        "image": np.zeros((4, 24, 24, 1), np.uint8),
        "instances": np.zeros((4, 24, 24), np.uint16),
    }
    with pytest.raises(ValueError, match=r"num_classes is 2, but data\.num_ids=5 makes 6 classes"):
        build_draw_batch(config)(jax.random.key(0), examples)


def test_a_full_disk_ends_a_run_in_a_sentence_and_it_goes_on_once_there_is_room(
    tmp_path, tiny_config, batches_from, monkeypatch
):
    # What Orbax's threads print would not fit into a small file either, which pytest puts it in.
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    monkeypatch.setattr(logging.get_absl_logger(), "disabled", True)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def with_little_room_from(last):
        def start(step):
            for i, batch in enumerate(batches_from(step), start=step + 1):
                if i == last:  # no file may grow beyond this
                    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
                yield batch

        return start

    try:
        with pytest.raises(OSError, match=r"checkpoints/4 cannot be written \(File too large\)"):
            train(tiny_config, tmp_path / "full", with_little_room_from(3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with Checkpoints(tmp_path / "full") as checkpoints:
        assert checkpoints.steps() == [2]
    assert [row["step"] for row in metrics(tmp_path / "full")] == ["1", "2", "3", "4"]
    resumed = train(tiny_config, tmp_path / "full", batches_from)
    whole = train(tiny_config, tmp_path / "whole", batches_from)
    jax.tree.map(np.testing.assert_array_equal, whole, resumed)
    assert metrics(tmp_path / "full") == metrics(tmp_path / "whole")
