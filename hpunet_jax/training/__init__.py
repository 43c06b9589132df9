"""Training: the state, the step, the loop, and how they lie on devices."""

from hpunet_jax.training.loop import train
from hpunet_jax.training.loss import batch_loss
from hpunet_jax.training.resuming import save
from hpunet_jax.training.setup import Setup, set_up
from hpunet_jax.training.state import Trainable, TrainState

__all__ = [
    "Setup",
    "TrainState",
    "Trainable",
    "batch_loss",
    "save",
    "set_up",
    "train",
]
