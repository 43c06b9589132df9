"""What is written and read back: our checkpoint directories and the published TF1 weights."""

from hpunet_jax.checkpoints.directory import CheckpointError, Checkpoints
from hpunet_jax.checkpoints.tf1 import TF1Checkpoint, params_from_tf1, read_tf1

__all__ = ["CheckpointError", "Checkpoints", "TF1Checkpoint", "params_from_tf1", "read_tf1"]
