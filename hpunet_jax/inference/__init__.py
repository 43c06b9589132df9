"""Using a trained network."""

from hpunet_jax.inference.loading import load, load_tf1
from hpunet_jax.inference.model import Model

__all__ = ["Model", "load", "load_tf1"]
