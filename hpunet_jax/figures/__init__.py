"""The paper's figures: samples (Fig. 2), scales (3, 15), instances (4, 6), training curves (7)."""

from hpunet_jax.figures.annotations import annotations_figure
from hpunet_jax.figures.batch import batch_figure
from hpunet_jax.figures.curves import curves_figure, read_metrics
from hpunet_jax.figures.extrapolation import extrapolation_figure
from hpunet_jax.figures.gradings import gradings_figure
from hpunet_jax.figures.instances import instance_figure
from hpunet_jax.figures.panels import save_figure
from hpunet_jax.figures.reliability import reliability_figure
from hpunet_jax.figures.samples import sample_figure
from hpunet_jax.figures.scales import scales_figure

__all__ = [
    "annotations_figure",
    "batch_figure",
    "curves_figure",
    "extrapolation_figure",
    "gradings_figure",
    "instance_figure",
    "read_metrics",
    "reliability_figure",
    "sample_figure",
    "save_figure",
    "scales_figure",
]
