"""Noticing that this machine is about to be taken away, in time to save a checkpoint."""

import os
import signal
import sys
import threading

import jax
from jax.experimental import multihost_utils

NOTHING_TRAINED = 128 + signal.SIGTERM
"""The exit code of a process that SIGTERM ended before its first step."""


class Preemption:
    """Listens for SIGTERM, the signal of cloud machines and schedulers before they end a job.

    A context manager; leaving it restores what SIGTERM did before. Until the first step is done,
    there is nothing to save, and SIGTERM ends the process at once, even while it compiles; unless
    the process has a handler of its own. Afterwards it is remembered until `noticed` is asked.

    With several processes the JAX runtime has taken over the signal: wherever it arrives, all
    processes notice it at the same step, so that they can save together.
    """

    def __enter__(self) -> "Preemption":
        self._signalled = self._trained = False
        self._listening = (
            not jax.distributed.is_initialized()
            and threading.current_thread() is threading.main_thread()  # Python allows no other
        )
        if self._listening:
            self._before = signal.signal(signal.SIGTERM, self._remember)
            self._watch = _Watch(self) if self._before == signal.SIG_DFL else None
        return self

    def __exit__(self, *exc_info) -> None:
        if self._listening:
            if self._watch is not None:
                self._watch.end()
            signal.signal(signal.SIGTERM, self._before)

    def noticed(self, step: int) -> bool:
        """Whether to save at `step` and stop; every process must ask at every step."""
        self._trained = True
        if jax.distributed.is_initialized():
            return multihost_utils.reached_preemption_sync_point(step)
        return self._signalled

    def signalled(self) -> None:
        """What to do about a SIGTERM at once, whatever the main thread is in."""
        if not self._trained:
            print(
                "\nstopped by SIGTERM before a step was done: nothing is lost, and the same "
                "command starts again",
                file=sys.stderr,
                flush=True,
            )
            os._exit(NOTHING_TRAINED)

    def _remember(self, signum, frame) -> None:
        del signum, frame
        self._signalled = True


class _Watch:
    """A thread that hears of signals while the main one compiles, which calls no handlers then."""

    def __init__(self, preemption: Preemption):
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._listen, args=(preemption,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        signal.set_wakeup_fd(self._before)
        os.close(self._write)
        self._thread.join()
        os.close(self._read)

    def _listen(self, preemption: Preemption) -> None:
        while signum := os.read(self._read, 1):
            if signum[0] == signal.SIGTERM:
                preemption.signalled()
