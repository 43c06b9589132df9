"""Several processes as one run: how they meet, agree and end together."""

import atexit
import collections
import contextlib
import faulthandler
import hashlib
import os
import re
import time
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import jax
import ml_collections
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

import hpunet_jax
from hpunet_jax import files
from hpunet_jax.buckets import AnyPath, place
from hpunet_jax.checkpoints import Checkpoints
from hpunet_jax.config import PLACES, flatten
from hpunet_jax.training import mesh as meshes
from hpunet_jax.training.meeting import Member, meet

# How long a silent process is waited for, and how long processes wait for each other at the end.
TIMEOUT_SECONDS = 30
# How long those wait at the start that know each other by flags.
MEETING_SECONDS = 120


def join(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    detect: bool = False,
) -> None:
    """Joins the other processes of a run, where there are any; to be called before anything else.

    Slurm's steps of several tasks, and TPU workers that are told their hosts' names, are joined
    by themselves.

    Args:
      coordinator: address of process 0, "host:port"; None: the environment knows.
      num_processes: number of processes; None: the environment knows.
      process_id: this process's number, from 0; None: the environment knows.
      detect: asks the environment even where nothing suggests other processes; what Cloud TPU
        needs, whose metadata server knows them.

    Raises:
      ValueError: if only some of the three are given, or they do not fit each other or those of
        the other processes; if the processes run other versions of the software.
      ConnectionError: if the others do not come.
    """
    if coordinator is None and num_processes is None and process_id is None:
        if detect or _announced(os.environ):
            _initialize()
        return
    if coordinator is None or num_processes is None or process_id is None:
        raise ValueError(
            "--coordinator, --num_processes and --process_id belong together: give all three, or "
            "none of them where the environment knows the processes."
        )
    match = re.fullmatch(r"(?:[^\s:]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})", coordinator)
    if match is None or not 0 < int(match[1]) < 65_536:
        raise ValueError(
            f"--coordinator={coordinator} is no address: expected host:port of process 0, for "
            "instance 10.0.0.1:1234."
        )
    if not 0 <= process_id < num_processes:
        raise ValueError(
            f"--process_id={process_id} does not fit --num_processes={num_processes}: processes "
            f"are numbered from 0 to {num_processes - 1}."
        )
    meet(Member(coordinator, num_processes, process_id), MEETING_SECONDS)
    _initialize(coordinator, num_processes, process_id)


def _announced(environment) -> bool:
    """Whether the environment says that this process is one of several."""
    slurm_tasks = environment.get("SLURM_STEP_NUM_TASKS", "").strip() or "1"
    if not slurm_tasks.isdecimal():
        raise ValueError(
            f"the environment says SLURM_STEP_NUM_TASKS={slurm_tasks}: expected a number. Start "
            "the program with srun, or give --coordinator, --num_processes and --process_id."
        )
    return int(slurm_tasks) > 1 or "," in environment.get("TPU_WORKER_HOSTNAMES", "")


def _initialize(*given: Any) -> None:
    jax.distributed.initialize(
        *given,
        heartbeat_timeout_seconds=TIMEOUT_SECONDS,
        shutdown_timeout_seconds=TIMEOUT_SECONDS,
    )
    # At exit the runtime waits for the other processes and for what its devices still do. Where
    # that never ends, because another left at the wrong moment, this does, and says where it was.
    atexit.register(faulthandler.dump_traceback_later, 1.5 * TIMEOUT_SECONDS, exit=True)
    check_devices([device.process_index for device in jax.devices()])
    versions = f"hpunet_jax {hpunet_jax.__version__}, JAX {jax.__version__}"
    check_same(versions, "runs another version of hpunet_jax or JAX", f"here it is {versions}.")


def check_devices(owners: Sequence[int]) -> None:
    """Raises a `ValueError` unless all processes have as many devices.

    Args:
      owners: the number of each device's process.
    """
    counts = collections.Counter(owners)
    if len(set(counts.values())) > 1:
        found = ", ".join(f"process {process}: {counts[process]}" for process in sorted(counts))
        raise ValueError(
            f"the processes have different numbers of devices ({found}), but must have as many "
            "each: start them on machines of one kind, with the same environment."
        )


def check_same(value: str, problem: str, remedy: str) -> None:
    """Raises a `ValueError` in all processes unless this value is the same in all.

    Args:
      value: what is compared.
      problem: what the sentence says of a process whose value is another than process 0's.
      remedy: what to do, the sentence's end.
    """
    if jax.process_count() == 1:
        return
    digests = _gather(np.frombuffer(hashlib.sha256(value.encode()).digest(), np.uint8))
    others = np.flatnonzero((digests != digests[0]).any(axis=1))
    if others.size:
        raise ValueError(f"process {others[0]} {problem} than process 0: {remedy}")


def check_same_config(config: ml_collections.ConfigDict) -> None:
    """Raises a `ValueError` unless all processes were started with the same config.

    Where the data lie, `data.dir` and `data.cache_dir`, may differ between hosts.
    """
    fields = {name: v for name, v in flatten(config).items() if name not in PLACES}
    check_same(
        repr(sorted(fields.items())),
        "was started with another config",
        "start all processes with the same --config file and overrides.",
    )


def check_same_data(data_digest: str | None) -> None:
    """Raises a `ValueError` unless all processes read data of the same `fingerprint`."""
    check_same(
        str(data_digest),
        "reads other data",
        "the data set must be the same on all hosts; build it alike, or copy it.",
    )


@contextlib.contextmanager
def failing_together() -> Generator[None]:
    """A part of a program that fails in all processes if it fails in one.

    Raises:
      ValueError: in the processes where it did not fail itself.
    """
    problem: Exception | None = None
    try:
        yield
    except Exception as error:  # whatever it is, the others must not wait for this process
        problem = error
    if jax.process_count() > 1:
        failed = np.flatnonzero(_gather(np.array([problem is not None], np.uint8)))
        if failed.size and problem is None:
            raise ValueError(
                f"process {failed[0]} of this run cannot go on: its own output says why."
            )
    if problem is not None:
        raise problem


def check_shared(folder: str | os.PathLike[str]) -> None:
    """Raises a `ValueError` in all processes unless each sees the same folder as process 0."""
    if jax.process_count() == 1:
        return
    token = _gather(np.frombuffer(os.urandom(16), np.uint8))[0].tobytes().hex()
    file = place(folder, "--workdir") / f".shared-{token}"
    with failing_together():
        if jax.process_index() == 0:
            files.create(file, b"")
    seen = _gather(np.array([_appears(file)], np.uint8))
    if jax.process_index() == 0:
        files.remove(file)
    if (blind := np.flatnonzero(seen == 0)).size:
        raise ValueError(
            f"process {blind[0]} does not see the folder {folder} of process 0: --workdir must lie "
            "on a file system that all processes share."
        )


def _appears(file: AnyPath, seconds: float = 10.0) -> bool:
    """Whether a file is there; network file systems may show it some seconds late."""
    end = time.monotonic() + seconds
    while not files.exists(file):
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def agreed_step(checkpoints: Checkpoints) -> int | None:
    """The newest checkpoint that process 0 sees, which all processes go on from.

    Returns:
      Its step; None if there is none.

    Raises:
      ValueError: in all processes, if one of them does not see this checkpoint.
    """
    steps = checkpoints.steps()
    newest = steps[-1] if steps else -1
    if jax.process_count() > 1:
        newest = int(_gather(np.array([newest], np.int32))[0, 0])
        seen = _gather(np.array([newest in (steps or [-1])], np.uint8))
        if (blind := np.flatnonzero(seen == 0)).size:
            raise ValueError(
                f"process {blind[0]} does not see the checkpoint of step {newest} that process 0 "
                f"would go on from in {checkpoints.folder}: all processes must see the same files."
            )
    return None if newest < 0 else newest


def of_first(scores: Mapping[str, float]) -> dict[str, float]:
    """The scores that process 0 found, so that all decide alike; each has the same names."""
    if jax.process_count() == 1:
        return dict(scores)
    values = np.array(list(scores.values()), np.float64)
    first = _gather(values.view(np.uint8))[0]
    return dict(zip(scores, first.view(np.float64).tolist(), strict=True))


def _gather(array: np.ndarray) -> np.ndarray:
    """The array of each process, one after the other along a new first axis."""
    mesh = meshes.build_mesh(jax.process_count(), jax.local_device_count())  # a row for each
    split = NamedSharding(mesh, PartitionSpec("data"))
    rows = jax.make_array_from_process_local_data(split, array[None])
    rows = jax.jit(lambda x: x, out_shardings=meshes.replicated(mesh))(rows)
    # On all devices, not just the one that is read: a process that left before its others had met
    # their counterparts would leave those waiting for ever.
    return np.asarray(jax.block_until_ready(rows))


@contextlib.contextmanager
def naming_lost_processes() -> Generator[None]:
    """Turns the runtime's errors into one that says that another process is gone.

    Raises:
      ConnectionError: where the runtime of a run of several processes fails.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        raise ConnectionError(
            f"process {jax.process_index()} lost one of the {jax.process_count()} processes of "
            "this run, whose own output says why. Start the run again, on as many processes as "
            "there are: it goes on from its newest checkpoint. The runtime says: "
            f"{str(error).splitlines()[0][:200]}"
        ) from error
