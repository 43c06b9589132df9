"""The reliability diagram: how often graders give a class where so many samples have it."""

import itertools
from collections.abc import Mapping

from matplotlib.figure import Figure

from hpunet_jax.figures.panels import GRADER_COLOURS, INK
from hpunet_jax.metrics.calibration import Reliability

_GREY = "#9a9a9a"


def reliability_figure(rows: Mapping[str, Reliability]) -> Figure:
    """Graders' shares against samples' shares, over how many pixels each bin has.

    Args:
      rows: {name: diagram}, those drawn over each other.

    Returns:
      The figure, for `save_figure`.
    """
    figure = Figure(figsize=(4.6, 5.4), dpi=200, facecolor="white", layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle=(0, (4, 3)), label="calibrated")
    for (name, curve), colour in zip(rows.items(), itertools.cycle(GRADER_COLOURS), strict=False):
        style = {"color": colour, "linewidth": 1.4, "marker": "o", "markersize": 3.5}
        axes.plot(curve.predicted, curve.graded, label=name, **style)
        below.plot(curve.predicted, curve.share, **style)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_ylabel("share of graders who give the class", fontsize=9, color=INK)
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    below.set(yscale="log", ylim=(None, 2))
    below.set_ylabel("share of pixels", fontsize=9, color=INK)
    below.set_xlabel("share of samples that have it", fontsize=9, color=INK)
    for panel in (axes, below):
        panel.tick_params(labelsize=8, colors=INK, length=3, width=0.6)
        panel.grid(visible=True, color="#e6e6e6", linewidth=0.6)
        panel.set_axisbelow(True)
        for side, spine in panel.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set(color=_GREY, linewidth=0.6)
    return figure
