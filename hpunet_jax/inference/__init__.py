"""Using a trained network."""

from hpunet_jax.inference.model import Model, load, load_tf1

__all__ = ["Model", "load", "load_tf1"]
