"""From samples to instances: Hamming clustering and its clean-up (Appendices G and H)."""

from hpunet_jax.instances.clean_up import clean_up
from hpunet_jax.instances.clustering import hamming_cluster, only_classes
from hpunet_jax.instances.numbering import renumber

__all__ = ["clean_up", "hamming_cluster", "only_classes", "renumber"]
