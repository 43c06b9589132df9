"""Figs. 7 and 8: the parts of the objective in the course of training."""

import os
import re
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from hpunet_jax.buckets import place
from hpunet_jax.files import is_file, read_bytes

Metrics = Mapping[str, np.ndarray]

_INK = "#222222"
_RUN_COLOURS = ("#1f6fb4", "#d9661f", "#2a9d5c", "#b8397a", "#7a5cc2", "#8c6d31", "#1fa3a3")
_SCALE = re.compile(r"kl_(\d+)")


def read_metrics(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads the metrics.csv of a training run; it may still be growing.

    Args:
      path: the file.

    Returns:
      {column: float64 [rows]}; a last row that is not complete yet is left out.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it has no rows or no column `step`; names a line that is no row of numbers.
    """
    path = place(path, "the curves")
    if not is_file(path):
        raise FileNotFoundError(f"{path} does not exist: expected the metrics.csv of a run.")
    # What follows the last line break is still being written; bytes that are no text stay visible.
    header, *lines = read_bytes(path).decode(errors="replace").split("\n")[:-1] or [""]
    columns = header.rstrip("\r").split(",")
    if "step" not in columns or not lines:
        raise ValueError(f"{path} holds no training metrics: expected a column 'step' and rows.")
    rows = [_row(line) for line in lines]
    for number, (line, row) in enumerate(zip(lines, rows, strict=True), start=2):
        if row is None or len(row) != len(columns):
            raise ValueError(
                f"{path} is damaged: line {number}, {line[:60]!r}, is no row of {len(columns)} "
                "numbers. Remove it, or resume the training, which drops such lines."
            )
    return dict(zip(columns, np.array(rows).T, strict=True))


def _row(line: str) -> list[float] | None:
    """The numbers of a line; None if it holds anything else."""
    try:
        return [float(cell) for cell in line.rstrip("\r").split(",")]
    except ValueError:
        return None


def curves_figure(
    runs: Sequence[Metrics | str | os.PathLike[str]],
    labels: Sequence[str] | None = None,
    kappa: float | None = None,
) -> Figure:
    """Reconstruction term, Lagrange multiplier, and KL terms against training steps.

    Several runs lie over each other, each in one colour; the KL terms of the scales have one colour
    for each scale.

    Args:
      runs: paths of metrics.csv files, or their columns from `read_metrics`: `step`,
        `reconstruction_per_pixel`, `kl_sum`, `kl_0` (coarsest) and so on, and with GECO
        `moving_average_per_pixel` and `lagrange_multiplier`.
      labels: a name for each run; None leaves them unnamed.
      kappa: the desired reconstruction loss per pixel, a dashed line if any run used GECO.

    Returns:
      The figure, for `save_figure`.

    Raises:
      FileNotFoundError: if a file does not exist.
      ValueError: if there is no run, a run lacks a column or is damaged, or there are not as many
        labels.
    """
    if not runs:
        raise ValueError("there are no curves to draw: expected the metrics of at least one run.")
    if labels is not None and len(labels) != len(runs):
        raise ValueError(f"there are {len(labels)} labels for {len(runs)} runs: expected as many.")
    runs = [run if isinstance(run, Mapping) else read_metrics(run) for run in runs]
    for run in runs:
        if missing := {"step", "reconstruction_per_pixel", "kl_sum"} - run.keys():
            raise ValueError(f"the metrics have no column {sorted(missing)[0]!r}.")
    names = labels or [None] * len(runs)
    geco = any("lagrange_multiplier" in run for run in runs)

    figure = Figure(figsize=(10, 2.75), dpi=200, facecolor="white", layout="constrained")
    axes = list(figure.subplots(1, 3 + geco))
    _draw_reconstruction(axes[0], runs, names, kappa if geco else None)
    if geco:
        _draw(axes[1], runs, "lagrange_multiplier")
        axes[1].set_title("Lagrange multiplier λ")
    _draw(axes[-2], runs, "kl_sum")
    axes[-2].set_title("KL, sum over scales")
    _draw_scales(axes[-1], runs)
    for panel in axes:
        _tidy(panel)
    return figure


def _draw(panel: Axes, runs: Sequence[Metrics], column: str) -> None:
    for run, colour in zip(runs, _colours(runs), strict=True):
        if column in run:
            _draw_noisy(panel, run, column, _alpha(runs), color=colour)
    panel.set_ylim(0, 1.05 * _greatest(runs, [column]))


def _draw_noisy(panel: Axes, run: Metrics, column: str, alpha: float, **style) -> None:
    """What was logged, faint, under its running mean over a twenty-fifth of the rows."""
    values = run[column]
    half = len(values) // 50
    padded = np.pad(values, half, mode="edge")
    mean = np.convolve(padded, np.full(2 * half + 1, 1 / (2 * half + 1)), mode="valid")
    panel.plot(run["step"], values, linewidth=0.6, alpha=0.3 * alpha, color=style["color"])
    panel.plot(run["step"], mean, linewidth=1.3, alpha=alpha, **style)


def _draw_reconstruction(
    panel: Axes, runs: Sequence[Metrics], names: Sequence[str | None], kappa: float | None
) -> None:
    for run, name, colour in zip(runs, names, _colours(runs), strict=True):
        loss = run["reconstruction_per_pixel"]
        average = run.get("moving_average_per_pixel", loss)
        panel.plot(run["step"], loss, color=colour, linewidth=0.6, alpha=0.35 * _alpha(runs))
        panel.plot(run["step"], average, color=colour, linewidth=1.3, label=name)
    panel.set_title("reconstruction loss per pixel")
    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_locator(NullLocator())
    if kappa is not None:
        panel.axhline(kappa, color=_INK, linewidth=1, linestyle=(0, (4, 3)), label=f"κ = {kappa:g}")
    if kappa is not None or any(names):
        panel.legend(frameon=False, fontsize=8, loc="upper right", handlelength=1.6)


def _draw_scales(panel: Axes, runs: Sequence[Metrics]) -> None:
    matches = (_SCALE.fullmatch(column) for run in runs for column in run)
    scales = sorted({int(match[1]) for match in matches if match})
    columns = [f"kl_{scale}" for scale in scales]
    ends = {0: ", global", len(scales) - 1: ", local"} if len(scales) > 1 else {}
    colours = colormaps["viridis"](np.linspace(0.0, 0.88, max(len(scales), 2)))
    for scale, column, colour in zip(scales, columns, colours, strict=False):
        label = f"scale {scale}{ends.get(scale, '')}"
        for run in runs:
            if column in run:
                _draw_noisy(panel, run, column, _alpha(runs), color=colour, label=label)
                label = None  # one entry in the legend for all runs
    panel.set_title("KL of each scale")
    panel.set_ylim(0, 1.35 * _greatest(runs, columns))  # room for the legend
    if scales:
        style = {"handlelength": 1.1, "columnspacing": 1.0, "ncols": 2, "fontsize": 7.5}
        panel.legend(frameon=False, loc="upper center", **style)


def _greatest(runs: Sequence[Metrics], columns: Sequence[str]) -> float:
    """The greatest value but for the first steps, whose KL can dwarf all that follows."""
    parts = [
        run[column][len(run[column]) // 50 :] for run in runs for column in columns if column in run
    ]
    finite = [part[np.isfinite(part)] for part in parts]  # the last of a run that diverged are not
    return max((float(part.max(initial=0)) for part in finite), default=0.0) or 1.0


def _tidy(panel: Axes) -> None:
    panel.title.set(fontsize=9.5, color=_INK)
    panel.set_xlabel("step", fontsize=8.5, color=_INK)
    panel.tick_params(labelsize=8, colors=_INK, length=3, width=0.6)
    panel.xaxis.set_major_formatter(FuncFormatter(_thousands))
    panel.locator_params(axis="x", nbins=5)
    panel.margins(x=0.02)
    panel.grid(visible=True, color="#e6e6e6", linewidth=0.6)
    panel.set_axisbelow(True)
    for side, spine in panel.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set(color="#9a9a9a", linewidth=0.6)


def _thousands(step: float, _: int) -> str:
    return f"{step / 1000:g}k" if step >= 10_000 else f"{step:g}"


def _colours(runs: Sequence[Metrics]) -> list[str]:
    return [_RUN_COLOURS[number % len(_RUN_COLOURS)] for number in range(len(runs))]


def _alpha(runs: Sequence[Metrics]) -> float:
    return 1.0 if len(runs) == 1 else 0.75
