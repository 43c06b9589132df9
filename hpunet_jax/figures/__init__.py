"""The paper's figures: samples (Fig. 2), latent scales (Fig. 3), training curves (Fig. 7)."""

from hpunet_jax.figures.curves import curves_figure, read_metrics
from hpunet_jax.figures.panels import save_figure
from hpunet_jax.figures.samples import sample_figure
from hpunet_jax.figures.scales import scales_figure

__all__ = ["curves_figure", "read_metrics", "sample_figure", "save_figure", "scales_figure"]
