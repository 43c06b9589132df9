"""The Hierarchical Probabilistic U-Net in JAX: sampling consistent segmentation hypotheses."""

from hpunet_jax.inference import Model, load

__version__ = "0.1.0"

__all__ = ["Model", "load"]
