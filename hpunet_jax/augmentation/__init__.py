"""From examples to training batches, on the accelerator (Appendices D.1-D.3)."""

from hpunet_jax.augmentation.augment import training_batch
from hpunet_jax.augmentation.batch import Batch
from hpunet_jax.augmentation.extrapolation import Extrapolation, hide_batch
from hpunet_jax.augmentation.ranges import Augmentation

__all__ = [
    "Augmentation",
    "Batch",
    "Extrapolation",
    "hide_batch",
    "training_batch",
]
