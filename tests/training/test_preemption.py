"""SIGTERM: at once while there is nothing to save, remembered afterwards."""

import os
import pathlib
import signal
import subprocess
import sys
import time

from hpunet_jax.training.preemption import NOTHING_TRAINED, Preemption

ROOT = pathlib.Path(__file__).parents[2]

# What a compilation is to Python: a call that comes back late and lets other threads run.
BUSY = """
import hashlib
from hpunet_jax.training.preemption import Preemption
with Preemption():
    print("compiling", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2 * 10**9)
"""


def test_a_process_that_has_trained_nothing_ends_at_once_whatever_it_is_in():
    command = [sys.executable, "-c", BUSY]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout.readline() == "compiling\n"
        time.sleep(0.1)
        before = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, message = process.communicate(timeout=20)
    assert time.monotonic() - before < 5
    assert process.returncode == NOTHING_TRAINED
    assert message.strip() == (
        "stopped by SIGTERM before a step was done: nothing is lost, and the same command "
        "starts again"
    )


def test_after_the_first_step_it_is_remembered_and_the_handler_is_restored():
    before = signal.getsignal(signal.SIGTERM)
    with Preemption() as preemption:
        assert not preemption.noticed(1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert preemption.noticed(2)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_handler_of_the_process_keeps_it_alive():
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
    try:
        with Preemption() as preemption:
            os.kill(os.getpid(), signal.SIGTERM)  # it would end here
            assert preemption.noticed(1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [1]
    finally:
        signal.signal(signal.SIGTERM, before)
