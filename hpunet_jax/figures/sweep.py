"""A sweep at a glance: each metric over each swept field, a point for each run."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpunet_jax.sweeps.table import SweepTable, label

_TICKS = 8  # of more values, matplotlib chooses some
_POINT, _MEAN = "#1f6fb4", "#222222"


def sweep_figure(table: SweepTable) -> Figure:
    """Draws a sweep: a row of panels for each metric, a column for each field that differs.

    Args:
      table: the sweep's table.

    Returns:
      The figure. Points are runs, the line joins their means; values that are no numbers
      stand beside each other.
    """
    fields = table.fields or ("run",)
    rows, columns = len(table.columns), len(fields)
    figure = Figure(figsize=(1 + 3 * columns, 0.6 + 2.2 * rows), dpi=120, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey="row", sharex="col")
    for place, field in enumerate(fields):
        values = [of_run.get(field, name) for name, of_run, _ in table.rows]
        where, ticks = _positions(values)
        for panel, metric in zip(panels[:, place], table.columns, strict=True):
            of_runs = [result.values.get(metric, np.nan) for _, _, result in table.rows]
            _draw(panel, where, np.array(of_runs))
            if len(ticks) <= _TICKS:
                panel.set_xticks(list(ticks), list(ticks.values()), minor=False)
                panel.set_xticks([], minor=True)
            if place == 0:
                panel.set_ylabel(label(metric))
        panels[-1, place].set_xlabel(field)
    return figure


def _positions(values: Sequence) -> tuple[np.ndarray, dict[float, str]]:
    """Where values lie on an axis, and the names of their places."""
    numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in values]
    if all(numbers):
        return np.array(values, float), {float(value): f"{value:g}" for value in values}
    texts = list(map(str, values))
    names = sorted(set(texts))
    places = {float(place): name for place, name in enumerate(names)}
    return np.array([names.index(text) for text in texts], float), places


def _draw(panel: Axes, where: np.ndarray, values: np.ndarray) -> None:
    panel.plot(where, values, "o", color=_POINT, alpha=0.7, markersize=5, markeredgewidth=0)
    places = np.unique(where)
    of_place = [values[(where == place) & np.isfinite(values)] for place in places]
    means = [some.mean() if some.size else np.nan for some in of_place]
    panel.plot(places, means, "-", color=_MEAN, linewidth=1)
    panel.spines[["top", "right"]].set_visible(False)
    if (places > 0).all() and places[-1] >= 20 * places[0]:
        panel.set_xscale("log")
