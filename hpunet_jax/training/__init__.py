"""Training: the state, the step, the loop, and how they lie on devices."""

from hpunet_jax.training.loop import save, train
from hpunet_jax.training.setup import Setup, set_up
from hpunet_jax.training.state import Trainable, TrainState
from hpunet_jax.training.step import batch_loss

__all__ = [
    "Setup",
    "TrainState",
    "Trainable",
    "batch_loss",
    "save",
    "set_up",
    "train",
]
