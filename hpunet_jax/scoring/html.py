"""The report as one HTML file that needs nothing else, in light and dark."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np

from hpunet_jax.evaluation.report import metric_label, note, tables
from hpunet_jax.metrics.calibration import Reliability
from hpunet_jax.scoring.pictures import Picture

_STYLE = """
:root { color-scheme: light dark; --back: #f6f7f9; --card: #ffffff; --text: #16191d;
  --quiet: #5c6672; --line: #d5dae1; --accent: #0b6bcb; }
@media (prefers-color-scheme: dark) { :root { --back: #14171b; --card: #1d2127; --text: #e7eaee;
  --quiet: #98a3b0; --line: #353c46; --accent: #5aa9f8; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1560px; padding: 1.2rem 1.6rem 3rem; background: var(--back);
  color: var(--text); font: 14px/1.45 system-ui, sans-serif; }
h1 { font-size: 20px; margin: 0 0 0.2rem; } h2 { font-size: 16px; margin: 1.6rem 0 0.5rem; }
p { margin: 0.2rem 0 0.6rem; max-width: 90ch; } .quiet { color: var(--quiet); }
.scroll { overflow-x: auto; margin-bottom: 0.8rem; }
table { border-collapse: collapse; background: var(--card); font-variant-numeric: tabular-nums; }
th, td { padding: 4px 12px; border: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0;
  background: var(--card); } th { font-weight: 600; }
#images { max-height: 32rem; overflow: auto; } #images th { position: sticky; top: 0;
  background: var(--card); box-shadow: inset 0 -1px var(--line); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(560px, 1fr)); gap: 0.8rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  padding: 0.7rem; }
.card h3 { font-size: 14px; margin: 0 0 0.2rem; overflow-wrap: anywhere; }
.card dl { display: flex; flex-wrap: wrap; gap: 0 1.1rem; margin: 0 0 0.5rem; }
.card dl div { display: flex; gap: 0.35rem; } dt { color: var(--quiet); } dd { margin: 0; }
.pictures { display: flex; flex-wrap: wrap; gap: 6px; }
figure { margin: 0; width: 84px; } figcaption { font-size: 11px; color: var(--quiet); }
figure img { width: 84px; display: block; border-radius: 3px; image-rendering: pixelated;
  border: 1px solid var(--line); }
.few figure, .few img { width: 168px; }
svg text { fill: var(--quiet); font: 11px system-ui, sans-serif; }
.frame { fill: var(--card); stroke: var(--line); } .grid { stroke: var(--line); }
.diagonal { stroke: var(--quiet); stroke-dasharray: 4 4; }
.curve { fill: none; stroke: var(--accent); stroke-width: 2; } .point { fill: var(--accent); }
"""


_FEW = 3  # pictures that are shown larger
_NOT_IN_CARDS = ("to_graders", "among_samples", "among_graders", "subset_b")


class Shown(NamedTuple):
    """An image in the report.

    Attributes:
      place: its place among all images.
      pictures: its gradings and samples.
      note: why the image itself is not among them, if it should be.
    """

    place: int
    pictures: Sequence[Picture]
    note: str = ""


def html_report(
    results: Mapping[str, Any],
    names: Sequence[str],
    columns: Mapping[str, np.ndarray],
    *,
    sources: Mapping[str, str],
    about: str,
    worst: Sequence[Shown],
    best: Sequence[Shown],
    sorted_by: str,
    reliability: Reliability | None = None,
) -> str:
    """The report.

    Args:
      results: what `evaluation.scores.summarize` gives.
      names: of all images.
      columns: {metric: float64 [images]}, the scores of each image.
      sources: {what: where}, what was scored.
      about: a sentence about what was found there.
      worst: the worst images, the worst first.
      best: the best images, the best first.
      sorted_by: the metric that says which.
      reliability: the samples' reliability diagram, if there is one.

    Returns:
      HTML.
    """
    where = " · ".join(f"{escape(what)}: {escape(place)}" for what, place in sources.items())
    parts = [
        "<h1>Scores of segmentations</h1>",
        f'<p class="quiet">{where}<br>{escape(about)}</p>',
        *(_table(rows) for rows in tables(results)),
        f'<p class="quiet">{escape(note(results))}</p>',
    ]
    if reliability is not None:
        parts += ["<h2>Reliability</h2>", _diagram(reliability)]
    shown_by = metric_label(sorted_by)
    for title, images in (("Worst images", worst), ("Best images", best)):
        if images:
            cards = "".join(_card(image, names, columns) for image in images)
            parts.append(
                f'<h2>{title} <span class="quiet">by {escape(shown_by)}</span></h2>'
                f'<div class="cards">{cards}</div>'
            )
    header = ["image", *map(metric_label, columns)]
    rows = [[name, *map(_number, row)] for name, row in _rows(names, columns)]
    parts += ["<h2>All images</h2>", f'<div id="images">{_rows_as_html([header, *rows])}</div>']
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Scores of segmentations</title><style>{_STYLE}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )


def _rows(names: Sequence[str], columns: Mapping[str, np.ndarray]):
    return zip(names, np.stack(list(columns.values()), axis=1).tolist(), strict=True)


def _number(value: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.0f}" if value in (0.0, 1.0) else f"{value:.3f}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    return f'<div class="scroll">{_rows_as_html(rows)}</div>'


def _rows_as_html(rows: Sequence[Sequence[str]]) -> str:
    lines = []
    for number, row in enumerate(rows):
        tag = "td" if number else "th"
        lines.append("<tr>" + "".join(f"<{tag}>{escape(c)}</{tag}>" for c in row) + "</tr>")
    return f"<table>{''.join(lines)}</table>"


def _card(image: Shown, names: Sequence[str], columns: Mapping[str, np.ndarray]) -> str:
    scores = "".join(
        f"<div><dt>{escape(metric_label(name))}</dt><dd>{_number(values[image.place])}</dd></div>"
        for name, values in columns.items()
        if name not in _NOT_IN_CARDS
    )
    pictures = "".join(
        f'<figure><img src="{picture.address}" alt="{escape(picture.caption)}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
        for picture in image.pictures
    )
    note = f'<p class="quiet">Without its image: {escape(image.note)}</p>' if image.note else ""
    few = " few" if len(image.pictures) <= _FEW else ""
    return (
        f'<div class="card"><h3>{escape(names[image.place])}</h3><dl>{scores}</dl>{note}'
        f'<div class="pictures{few}">{pictures}</div></div>'
    )


def _diagram(curve: Reliability) -> str:
    """The diagram as SVG; the area of a point grows with the logarithm of its pixels' number."""
    size, left, top = 260, 44, 8

    def at(x: float, y: float) -> tuple[str, str]:
        return f"{left + size * x:.1f}", f"{top + size * (1 - y):.1f}"

    points = [at(x, y) for x, y in zip(curve.predicted, curve.graded, strict=True)]
    line = " ".join(",".join(point) for point in points)
    ticks = []
    for value in (0.0, 0.5, 1.0):
        (x, _), (_, y) = at(value, 0), at(0, value)
        bottom, right = top + size, left + size
        ticks.append(
            f'<path class="grid" d="M{x} {top}V{bottom}M{left} {y}H{right}"/>'
            f'<text x="{x}" y="{bottom + 15}" text-anchor="middle">{value:g}</text>'
            f'<text x="{left - 6}" y="{float(y) + 4}" text-anchor="end">{value:g}</text>'
        )
    radii = 2 + np.log10(1 + 1e4 * curve.share)
    dots = "".join(
        f'<circle class="point" cx="{x}" cy="{y}" r="{radius:.1f}"><title>'
        f"{share:.2%} of pixels</title></circle>"
        for (x, y), radius, share in zip(points, radii, curve.share, strict=True)
    )
    (x0, y0), (x1, y1) = at(0, 0), at(1, 1)
    middle = top + size / 2
    return (
        f'<svg width="{left + size + 16}" height="{top + size + 36}" role="img" '
        'aria-label="reliability diagram">'
        f'<rect class="frame" x="{left}" y="{top}" width="{size}" height="{size}"/>'
        f'{"".join(ticks)}<path class="diagonal" d="M{x0} {y0}L{x1} {y1}"/>'
        f'<polyline class="curve" points="{line}"/>{dots}'
        f'<text x="{left + size / 2}" y="{top + size + 31}" text-anchor="middle">'
        "share of samples that have a class</text>"
        f'<text transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">'
        "share of graders</text></svg>"
    )
