"""From examples to training batches, on the accelerator."""

from hpunet_jax.augmentation.augment import Augmentation, training_batch
from hpunet_jax.augmentation.batch import Batch

__all__ = ["Augmentation", "Batch", "training_batch"]
