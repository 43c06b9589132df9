"""The official release's checkpoints: TensorFlow 1 variable names to our parameters.

DeepMind's code numbers the convolutions of its two cores, `prior` and `posterior`, and of the
output decoder, `f_comb`, in the order in which they are made: encoder first, then the latent
hierarchy; in a residual block the 3x3 convolutions, the skip's projection, the residual's.
"""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from hpunet_jax.checkpoints.storage import CheckpointError
from hpunet_jax.checkpoints.tensor_bundle import read_tensor_bundle

_MULTIPLIER = "snt_lagrange_multiplier/lagrange_multiplier/w"
_LAST_CONV = "f_comb/logits"
# TF1 scope -> the modules of ours whose convolutions it numbers, in order
_SCOPES = {
    "posterior": ("posterior_encoder", "posterior"),
    "prior": ("prior_encoder", "prior"),
    "f_comb": ("output_decoder",),
}

Shape = tuple[int, ...]


class TF1Checkpoint(NamedTuple):
    """What a checkpoint of the official release holds.

    Attributes:
      model: the `model` section of a config, inferred from the variables' shapes.
      variables: the network's variables by their names behind the model's scope.
      raw_multiplier: float32 scalar w of the Lagrange multiplier softplus(w)².
    """

    model: Mapping[str, Any]
    variables: Mapping[str, np.ndarray]
    raw_multiplier: np.ndarray


def read_tf1(prefix: str | os.PathLike[str]) -> TF1Checkpoint:
    """Reads a checkpoint of the official release; needs no TensorFlow.

    Args:
      prefix: its path without ".index", for instance "tf_graph_data.ckpt".

    Returns:
      Its variables and the model they belong to.

    Raises:
      CheckpointError: if this is no checkpoint of an HPU-Net.
      FileNotFoundError, ValueError: if the files are missing or damaged.
    """
    variables = _without_scope(read_tensor_bundle(prefix), prefix)
    multiplier = variables.pop(_MULTIPLIER, None)
    if multiplier is None:
        raise CheckpointError(f"{prefix}: the variable */{_MULTIPLIER} is missing.")
    return TF1Checkpoint(_infer_model(variables, prefix), variables, multiplier)


def params_from_tf1(
    variables: Mapping[str, np.ndarray], shapes: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, np.ndarray]]:
    """Arranges official variables as the parameters of our network.

    Args:
      variables: as in `TF1Checkpoint`.
      shapes: the network's `param_shapes()`.

    Returns:
      The parameters.

    Raises:
      CheckpointError: naming every variable that is missing, extra, or of another shape.
    """
    params: dict[str, dict[str, np.ndarray]] = {module: {} for module in shapes}
    expected, problems = set(), []
    for module, name in tf1_names(shapes).items():
        for leaf, like in shapes[module].items():
            variable = f"{name}/{leaf}"
            expected.add(variable)
            if variable not in variables:
                problems.append(f"{variable} is missing")
            elif variables[variable].shape != like.shape:
                problems.append(
                    f"{variable} has shape {variables[variable].shape} instead of {like.shape}"
                )
            else:
                params[module][leaf] = variables[variable]
    problems += [f"{name} is not part of the model" for name in sorted(set(variables) - expected)]
    if problems:
        raise CheckpointError(
            f"the variables do not fit the model, in {len(problems)} place(s): "
            + "; ".join(problems)
        )
    return params


def tf1_names(shapes: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The official name of each of our convolutions, without "/w" and "/b".

    Args:
      shapes: the network's `param_shapes()`, with `posterior_tail` for a complete list.

    Returns:
      Our module names -> TF1 names behind the model's scope.
    """
    names = {}
    for scope, modules in _SCOPES.items():
        convolutions = [conv for module in modules for conv in _in_order(module, shapes)]
        for number, conv in enumerate(convolutions):
            names[conv] = f"{scope}/conv_2d_{number}" if number else f"{scope}/conv_2d"
    names["output_decoder/logits"] = _LAST_CONV
    return names


def _in_order(module: str, shapes: Mapping[str, Any]) -> Iterator[str]:
    """Our convolutions of a top-level module, in the order of the official code."""
    numbered = re.compile(rf"{module}/(?:scale|latent)_(\d+)")
    scales = {int(match[1]) for match in map(numbered.match, shapes) if match}
    for scale in sorted(scales):
        block = 0
        while f"{module}/scale_{scale}/block_{block}/conv_0" in shapes:
            prefix = f"{module}/scale_{scale}/block_{block}"
            conv = 0
            while f"{prefix}/conv_{conv}" in shapes:
                yield f"{prefix}/conv_{conv}"
                conv += 1
            yield from (
                f"{prefix}/{c}" for c in ("skip", "projection") if f"{prefix}/{c}" in shapes
            )
            block += 1
        if f"{module}/latent_{scale}" in shapes:
            yield f"{module}/latent_{scale}"


def _without_scope(
    variables: Mapping[str, np.ndarray], prefix: str | os.PathLike[str]
) -> dict[str, np.ndarray]:
    ending = f"{_LAST_CONV}/w"
    found = [name for name in variables if name.endswith(ending)]
    if len(found) != 1:
        raise CheckpointError(
            f"{prefix} is no checkpoint of an HPU-Net: expected one variable */{ending}, found "
            f"{len(found)} among {len(variables)} variables."
        )
    scope = found[0].removesuffix(ending)
    return {name.removeprefix(scope): value for name, value in variables.items()}


class _Block(NamedTuple):
    convs: int
    inner: int
    channels: int


def _infer_model(variables: Mapping[str, np.ndarray], prefix) -> dict[str, Any]:
    """The hyperparameters behind the shapes of the core `prior`."""
    shapes = _kernel_shapes(variables, "prior", prefix)
    try:
        items: list[Any] = list(_parse(shapes))
        latents = [i for i, item in enumerate(items) if isinstance(item, int)]
        encoder = items[: latents[0]]
        end = latents[1] if len(latents) > 1 else len(items)
        blocks_per_scale = end - latents[0] - 1
        num_scales, rest = divmod(len(encoder), blocks_per_scale)
    except (IndexError, ZeroDivisionError):
        num_scales, rest = 0, 1
    if rest or not num_scales:
        raise CheckpointError(
            f"{prefix}: the convolutions of the scope prior do not form residual blocks and "
            "latent scales; is it a checkpoint of the official HPU-Net?"
        )
    scales = encoder[::blocks_per_scale]
    return {
        "name": "hpunet",
        "image_channels": shapes[0][2],
        "num_classes": variables[f"{_LAST_CONV}/w"].shape[-1],
        "num_scales": num_scales,
        "channels": tuple(block.channels for block in scales),
        "block_channels": tuple(block.inner for block in scales),
        "latent_dims": tuple(items[i] for i in latents),
        "blocks_per_scale": blocks_per_scale,
        "convs_per_block": scales[0].convs,
        "posterior_tail": True,
    }


def _kernel_shapes(variables: Mapping[str, np.ndarray], scope: str, prefix) -> list[Shape]:
    """The kernels' shapes of a core, in the order of their numbers, which have no gaps."""
    numbered = re.compile(rf"{scope}/conv_2d(?:_(\d+))?/[wb]")
    numbers = {int(match[1] or 0) for match in map(numbered.fullmatch, variables) if match}
    kernels = [
        f"{scope}/conv_2d_{number}/w" if number else f"{scope}/conv_2d/w"
        for number in range(max(numbers, default=-1) + 1)
    ]
    if missing := [name for name in kernels if name not in variables]:
        raise CheckpointError(f"{prefix}: " + "; ".join(f"{name} is missing" for name in missing))
    return [variables[name].shape for name in kernels]


def _parse(shapes: list[Shape]) -> Iterator[_Block | int]:
    """Cuts a core's kernels [k, k, c_in, c_out] into residual blocks and latent dimensions.

    A 1x1 kernel where a block could begin predicts a latent's mean and log-standard-deviation.
    All blocks have as many 3x3 convolutions as the first.
    """
    convs = next((i for i, shape in enumerate(shapes) if shape[0] == 1), len(shapes))
    at = 0
    while at < len(shapes):
        if shapes[at][0] == 1:
            yield shapes[at][3] // 2
            at += 1
            continue
        c_in, inner = shapes[at][2], shapes[at][3]
        at += convs
        ones = [shape[2:] for shape in shapes[at : at + 2] if shape[0] == 1]
        if len(ones) == 2 and ones[0][0] == c_in and ones[1] == (inner, ones[0][1]):
            channels, used = ones[0][1], 2  # skip and projection
        elif ones and ones[0] == (c_in, inner) and c_in != inner:
            channels, used = inner, 1  # skip alone: the branch has the block's width already
        elif ones and ones[0] == (inner, c_in) and c_in != inner:
            channels, used = c_in, 1  # projection alone: the number of channels stays
        else:
            channels, used = inner, 0
        yield _Block(convs, inner, channels)
        at += used
