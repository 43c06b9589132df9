"""Training: the state, the step, the loop, and how they lie on devices."""

from hpunet_jax.training.loop import save, train
from hpunet_jax.training.state import Trainable, TrainState, init_state
from hpunet_jax.training.step import batch_loss, build_train_step

__all__ = [
    "TrainState",
    "Trainable",
    "batch_loss",
    "build_train_step",
    "init_state",
    "save",
    "train",
]
