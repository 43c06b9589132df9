"""From examples to training batches, on the accelerator."""

from hpunet_jax.augmentation.augment import Augmentation, training_batch
from hpunet_jax.augmentation.batch import Batch
from hpunet_jax.augmentation.crop import centre_crop

__all__ = ["Augmentation", "Batch", "centre_crop", "training_batch"]
