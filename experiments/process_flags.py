"""The flags by which a program joins the other processes of a run."""

from absl import flags

from hpunet_jax.training import processes

_DISTRIBUTED = flags.DEFINE_bool("distributed", False, "Join the processes Cloud TPU tells of.")
_COORDINATOR = flags.DEFINE_string("coordinator", None, "host:port of process 0.")
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "Number of processes.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "This process's number, from 0.")


def join() -> None:
    """Joins the other processes, where there are any; to be called before anything else."""
    processes.join(
        _COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value, detect=_DISTRIBUTED.value
    )
