"""Noticing that this machine is about to be taken away, in time to save a checkpoint."""

import signal
import threading

import jax
from jax.experimental import multihost_utils


class Preemption:
    """Listens for SIGTERM, the signal of cloud machines and schedulers before they end a job.

    A context manager; leaving it restores what SIGTERM did before. With several processes the
    JAX runtime has taken over the signal: wherever it arrives, all processes notice it at the
    same step, so that they can save together.
    """

    def __enter__(self) -> "Preemption":
        self._signalled = False
        self._listening = (
            not jax.distributed.is_initialized()
            and threading.current_thread() is threading.main_thread()  # Python allows no other
        )
        if self._listening:
            self._before = signal.signal(signal.SIGTERM, self._remember)
        return self

    def __exit__(self, *exc_info) -> None:
        if self._listening:
            signal.signal(signal.SIGTERM, self._before)

    def noticed(self, step: int) -> bool:
        """Whether to save at `step` and stop; every process must ask at every step."""
        if jax.distributed.is_initialized():
            return multihost_utils.reached_preemption_sync_point(step)
        return self._signalled

    def _remember(self, signum, frame) -> None:
        del signum, frame
        self._signalled = True
