"""The Hierarchical Probabilistic U-Net in JAX: sampling consistent segmentation hypotheses."""

from hpunet_jax.inference import Model, load, load_tf1

__version__ = "0.2.0.dev0"

__all__ = ["Model", "load", "load_tf1"]
