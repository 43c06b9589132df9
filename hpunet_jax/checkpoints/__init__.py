"""What is written and read back: checkpoint directories, model files, the published TF1 weights."""

from hpunet_jax.checkpoints.directory import Checkpoints
from hpunet_jax.checkpoints.model_file import (
    check_params,
    read_calibration,
    read_model,
    write_model,
)
from hpunet_jax.checkpoints.storage import CheckpointError
from hpunet_jax.checkpoints.tf1 import TF1Checkpoint, params_from_tf1, read_tf1

__all__ = [
    "CheckpointError",
    "Checkpoints",
    "TF1Checkpoint",
    "check_params",
    "params_from_tf1",
    "read_calibration",
    "read_model",
    "read_tf1",
    "write_model",
]
