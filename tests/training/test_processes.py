"""Several processes as one run: the same result, one set of files, and no survivor that hangs."""

import concurrent.futures
import csv
import hashlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from hpunet_jax.checkpoints import Checkpoints
from hpunet_jax.training import processes, train
from hpunet_jax.training.meeting import Member, meet
from tests.training import one_process
from tests.xla import xla_flags

PROGRAM = "tests.training.one_process"
ROOT = pathlib.Path(__file__).parents[2]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(workdir, kappas, steps=one_process.STEPS, signum=0, at_step=0):
    """Starts one process for each kappa; together they have four devices."""
    port, count = free_port(), len(kappas)
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": xla_flags(devices=4 // count),
    }
    return [
        subprocess.Popen(
            [sys.executable, "-m", PROGRAM]
            + [str(v) for v in (port, count, i, workdir, kappa, steps, int(signum), at_step)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i, kappa in enumerate(kappas)
    ]


def test_a_lost_process_ends_the_others_and_the_run_goes_on_with_fewer(tmp_path):
    *survivors, lost = start(tmp_path / "parts", (0.05,) * 4, signum=signal.SIGKILL, at_step=3)
    assert lost.wait(timeout=120) == -signal.SIGKILL
    before = time.monotonic()
    messages = [survivor.communicate(timeout=60)[1] for survivor in survivors]
    assert time.monotonic() - before < 60
    assert all(survivor.returncode != 0 for survivor in survivors)
    # Those that waited for the lost one directly say so; once they leave, JAX ends the others.
    ours, jaxs = "lost one of the 4 processes of this run", "another task died"
    assert any(ours in message for message in messages), messages
    assert all(ours in message or jaxs in message for message in messages), messages

    for process in start(tmp_path / "parts", (0.05,) * 2):
        _, message = process.communicate(timeout=120)
        assert process.returncode == 0, message[-2000:]

    with Checkpoints(tmp_path / "parts") as checkpoints:  # of devices that are not here
        raw_multiplier = checkpoints.raw_multiplier()
    config, devices = one_process.tiny_config(), jax.devices()[:4]
    resumed = train(config, tmp_path / "parts", one_process.batches, devices)  # at its end
    whole = train(config, tmp_path / "whole", one_process.batches, devices)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(resumed), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(raw_multiplier, resumed.params.objective.raw_multiplier)
    for run in ("whole", "parts"):
        with (tmp_path / run / "metrics.csv").open(newline="") as file:
            assert [row["step"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


def test_sigterm_to_one_process_makes_all_save_the_same_step_and_end(tmp_path):
    for process in start(tmp_path, (0.05,) * 2, steps=200, signum=signal.SIGTERM, at_step=3):
        _, message = process.communicate(timeout=120)
        assert process.returncode == 0, message[-2000:]
    with Checkpoints(tmp_path) as checkpoints:
        assert 3 <= checkpoints.steps()[-1] < 200


def test_processes_with_different_configs_are_refused_before_anything_is_written(tmp_path):
    for process in start(tmp_path / "new", (0.05, 0.06)):
        _, message = process.communicate(timeout=120)
        assert process.returncode != 0
        assert "process 1 was started with another config than process 0" in message
    assert not (tmp_path / "new").exists()


def test_processes_that_read_different_data_are_refused(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(processes, "_gather", lambda array: np.stack([array, array]))
    processes.check_same_data("abc")
    other = np.frombuffer(hashlib.sha256(b"def").digest(), np.uint8)
    monkeypatch.setattr(processes, "_gather", lambda array: np.stack([array, other]))
    processes.check_same_data("def")
    with pytest.raises(ValueError, match="process 1 reads other data than process 0: the data set"):
        processes.check_same_data("abc")


def test_a_process_that_hangs_at_its_exit_is_ended_and_says_where():
    program = f"""
import atexit, time
from hpunet_jax.training import processes
atexit.register(time.sleep, 60)  # runs after what join registers
processes.TIMEOUT_SECONDS = 2
processes.join("127.0.0.1:{free_port()}", 1, 0)
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, cwd=ROOT, text=True, timeout=30
    )
    assert result.returncode == 1
    assert "Timeout" in result.stderr


def test_a_step_that_one_process_does_not_see_is_refused_by_all(monkeypatch, tmp_path):
    """As process 1 of 2, which sees the checkpoints of steps 2 alone, where process 0 has 2, 4."""
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    others = iter([np.array([[4], [2]], np.int32), np.array([[1], [0]], np.uint8)])
    monkeypatch.setattr(processes, "_gather", lambda array: next(others))

    class Seen(Checkpoints):
        def steps(self):
            return [2]

    with pytest.raises(ValueError, match="process 1 does not see the checkpoint of step 4"):
        processes.agreed_step(Seen(tmp_path))


def test_a_folder_that_is_not_shared_is_refused_by_all(monkeypatch, tmp_path):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(processes, "_appears", lambda file: True)
    others = [np.zeros((2, 16), np.uint8), np.array([[0], [0]]), np.array([[1], [0]], np.uint8)]
    others = iter(others)
    monkeypatch.setattr(processes, "_gather", lambda array: next(others))
    with pytest.raises(ValueError, match=r"process 1 does not see the folder .* of process 0"):
        processes.check_shared(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("environment", "announced"),
    [({"SLURM_STEP_NUM_TASKS": ""}, False), ({"SLURM_STEP_NUM_TASKS": " 2"}, True), ({}, False)],
)
def test_slurm_announces_several_tasks(environment, announced):
    assert processes._announced(environment) is announced
    with pytest.raises(ValueError, match="SLURM_STEP_NUM_TASKS=many: expected a number"):
        processes._announced({"SLURM_STEP_NUM_TASKS": "many"})


@pytest.mark.parametrize(
    "address", ["garbage", "host:", ":1234", "host:port", "a b:1", "h:0", "h:99999"]
)
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ValueError, match="is no address: expected host:port"):
        processes.join(address, 2, 0)


def test_processes_have_as_many_devices_each():
    processes.check_devices([0, 0, 1, 1])
    with pytest.raises(ValueError, match=r"\(process 0: 1, process 1: 2\), but must have as many"):
        processes.check_devices([0, 1, 1])


def test_the_flags_of_a_process_belong_together():
    with pytest.raises(ValueError, match="give all three"):
        processes.join("localhost:1234", 2)
    with pytest.raises(ValueError, match="numbered from 0 to 1"):
        processes.join("localhost:1234", 2, 2)


def meeting(*members, seconds=20.0):
    """What each (number of processes, process id) hears: None where all may go on."""
    coordinator = f"localhost:{free_port()}"
    with concurrent.futures.ThreadPoolExecutor(len(members)) as pool:
        going = [pool.submit(meet, Member(coordinator, *member), seconds) for member in members]
        return [str(error) if (error := one.exception()) else None for one in going]


def test_processes_meet_and_those_that_do_not_fit_each_other_hear_it_all():
    assert meeting((3, 2), (3, 0), (3, 1)) == [None] * 3
    for heard in meeting((2, 0), (3, 1)):
        assert "process 1 was started with --num_processes=3, but process 0 with" in heard
    for heard in meeting((3, 0), (3, 1), (3, 1)):
        assert "two processes were started with --process_id=1: give each its own" in heard
    host, guest = meeting((3, 0), (3, 2), seconds=0.5)
    assert "of 3 processes, these have not come to localhost:" in host
    assert "these have not come" in guest or "process 2 did not meet the others" in guest


def test_processes_do_not_touch_another_run_at_their_address():
    """JAX crashes where it cannot listen, and ends the run that a process is taken for."""
    with socket.create_server(("", 0)) as other:
        coordinator = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ValueError, match=r"process 0 cannot listen at port .* in use"):
            meet(Member(coordinator, 2, 0), 5)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            guest = pool.submit(meet, Member(coordinator, 2, 1), 5)
            with other.accept()[0] as connection:
                connection.recv(4096)
                connection.sendall(b"\0\0\x06\x04\0\0\0")  # how HTTP/2 begins, which JAX speaks
            with pytest.raises(ValueError, match="something else listens there, such as another"):
                guest.result()
