"""Using a trained network."""

from hpunet_jax.inference.model import Model, load

__all__ = ["Model", "load"]
