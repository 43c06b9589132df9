"""First weights from another model: fine-tuning, annealing further, other classes or channels."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np

from hpunet_jax.buckets import place
from hpunet_jax.checkpoints import Checkpoints, read_tf1
from hpunet_jax.config import value_of
from hpunet_jax.files import is_folder
from hpunet_jax.inference.loading import load, load_tf1
from hpunet_jax.objectives import GecoParams, lagrange_multiplier
from hpunet_jax.text_table import aligned
from hpunet_jax.training.setup import Setup
from hpunet_jax.training.state import TrainState

Params = Mapping[str, Mapping[str, Any]]


class Source(NamedTuple):
    """The weights to start from.

    Attributes:
      name: what they are, in words.
      params: the network's parameters.
      raw_multiplier: GECO's; None where it is not known.
    """

    name: str
    params: Params
    raw_multiplier: np.ndarray | None


def initialize(
    state: TrainState, setup: Setup, config: ml_collections.ConfigDict
) -> tuple[TrainState, str]:
    """The state before the first step of a run that starts from other weights.

    Parameters of the same name and shape are taken over; the others, such as the first convolution
    for other channels and the last for other classes, stay as they were drawn. Where all fit, and
    both were balanced by GECO, the Lagrange multiplier is taken over, too. The optimizer's moments,
    the learning rate and the count of steps begin anew.

    Args:
      state: the state with drawn weights.
      setup: what `state` belongs to.
      config: the whole config; used are `training.init_from`, `init_step` and `init_weights`.

    Returns:
      The state, and what was done in words, with a table of what did not fit.

    Raises:
      ValueError: if the source cannot be read, or nothing of it fits.
    """
    source = read_source(
        *(value_of(config, f"training.init_{field}") for field in ("from", "step", "weights"))
    )
    drawn = state.params.network
    taken = {
        module: {
            name: source.params[module][name] if _fits(source.params, module, name, leaf) else leaf
            for name, leaf in leaves.items()
        }
        for module, leaves in drawn.items()
    }
    misfits = misfits_of(source.params, drawn)
    kernels = {f"{module}/w" for module in drawn}
    if kernels <= {name for name, _, _ in misfits}:
        raise ValueError(
            f"training.init_from: no convolution of {source.name} fits this network, by name and "
            "shape: give a model of the same kind, or other fields of the section `model`."
        )
    network = jax.device_put(taken, setup.layout.params.network)
    objective, lines = state.params.objective, [_table(source.name, drawn, misfits)]
    if not misfits and isinstance(objective, GecoParams) and source.raw_multiplier is not None:
        raw = jax.device_put(np.float32(source.raw_multiplier), setup.layout.step)
        objective = GecoParams(raw)
        lines.append(f"the Lagrange multiplier starts at {lagrange_multiplier(raw):.4g}, as there")
    params = state.params._replace(network=network, objective=objective)
    ema = None if state.ema is None else jax.tree.map(lambda leaf: leaf.copy(), network)
    return state._replace(params=params, ema=ema), "\n".join(lines)


def read_source(path: str, step: str = "", weights: str = "trained") -> Source:
    """The weights of a work directory, a model file or an official checkpoint.

    Args:
      path: which; of an official checkpoint without ".index".
      step: of a work directory: a step, "best", or "" for the newest.
      weights: of a work directory: "trained" or "ema".

    Raises:
      ValueError: if there is none, or it cannot be read.
    """
    where = place(path, "training.init_from")
    chosen: Any = int(step) if step.isdecimal() else step or None
    if isinstance(where, pathlib.Path) and pathlib.Path(f"{where}.index").is_file():
        if step or weights != "trained":
            raise ValueError(
                f"training.init_from={path} is an official checkpoint, which holds one set of "
                "weights: leave training.init_step and training.init_weights out."
            )
        params = load_tf1(where).params
        return Source(f"the official checkpoint {path}", params, read_tf1(where).raw_multiplier)
    if not is_folder(where):
        params = load(path, chosen, weights=weights, device="cpu").params
        return Source(f"the model {path}", params, None)
    with Checkpoints(where) as checkpoints:
        number = checkpoints.step(chosen)
        raw_multiplier = checkpoints.raw_multiplier(number)
    params = load(path, number, weights=weights, device="cpu").params
    averaged = ", the average of its weights" if weights == "ema" else ""
    return Source(f"{path}, step {number:,}{averaged}", params, raw_multiplier)


def misfits_of(source: Params, drawn: Params) -> list[tuple[str, str, str]]:
    """The parameters that are drawn anew: name, shape in the source ("-": none), shape here."""
    return [
        (f"{module}/{name}", _shape(source.get(module, {}).get(name)), _shape(leaf))
        for module, leaves in drawn.items()
        for name, leaf in leaves.items()
        if not _fits(source, module, name, leaf)
    ]


def _fits(source: Params, module: str, name: str, leaf: Any) -> bool:
    found = source.get(module, {}).get(name)
    return found is not None and found.shape == leaf.shape


def _shape(leaf: Any) -> str:
    return "-" if leaf is None else "x".join(map(str, leaf.shape))


def _table(name: str, drawn: Params, misfits: Sequence[tuple[str, str, str]]) -> str:
    total = sum(map(len, drawn.values()))
    head = f"starting from {name}: {total - len(misfits)} of {total} parameters fit"
    if not misfits:
        return head
    return f"{head}\n\n{aligned([('drawn anew', 'there', 'here'), *misfits])}\n"
