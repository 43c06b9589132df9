"""What is written and read back: our checkpoint directories and the published TF1 weights."""

from hpunet_jax.checkpoints.directory import CheckpointError, Checkpoints

__all__ = ["CheckpointError", "Checkpoints"]
