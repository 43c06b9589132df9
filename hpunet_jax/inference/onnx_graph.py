"""JAX functions as ONNX graphs: the few operations of the networks, one rule for each.

A function is traced once, with a batch of unknown size; each operation of the trace becomes ONNX
nodes, and what depends on no input is computed here and stored. Convolutions of [B, h, w, c] become
ONNX's, of [B, c, h, w], between two transpositions, which ONNX runtimes push together and remove.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hpunet_jax import __version__

OPSET = 18  # reductions take their axes as an input
_INLINED = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
}
_SAME_IN_ONNX = {
    "abs": "Abs",
    "add": "Add",
    "div": "Div",
    "exp": "Exp",
    "log": "Log",
    "logistic": "Sigmoid",
    "max": "Max",
    "min": "Min",
    "mul": "Mul",
    "neg": "Neg",
    "sqrt": "Sqrt",
    "sub": "Sub",
    "tanh": "Tanh",
}
_UNCHANGED = ("copy", "stop_gradient")


def to_onnx(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> bytes:
    """Writes a function as an ONNX model, its weights inside.

    Args:
      function: takes the arguments, returns a tuple of arrays.
      arguments: the shape and dtype of each, float32 [B, ...], of one symbolic batch B.
      inputs: a name for each argument.
      outputs: a name for each result.

    Returns:
      The serialized model, whose first axis may have any length.

    Raises:
      ValueError: for an operation that has no rule here; it is named.
    """
    closed = jax.make_jaxpr(function)(*arguments)
    graph = _Graph(batch_input=inputs[0])
    results = _inline(graph, closed.jaxpr, [np.asarray(x) for x in closed.consts], list(inputs))
    for name, result in zip(outputs, results, strict=True):
        graph.nodes.append(helper.make_node("Identity", [graph.tensor(result)], [name]))
    variables = closed.jaxpr.invars, closed.jaxpr.outvars
    takes, gives = (
        [_describe(name, x.aval) for name, x in zip(names, xs, strict=True)]
        for names, xs in zip((inputs, outputs), variables, strict=True)
    )
    constants = list(graph.constants.values())
    model = helper.make_model(
        helper.make_graph(graph.nodes, "hpunet_jax", takes, gives, constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="hpunet_jax",
        producer_version=__version__,
        ir_version=10,  # what most runtimes read
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


@dataclasses.dataclass
class _Graph:
    """The nodes and constants written so far. A value is a tensor's name or a constant."""

    batch_input: str
    nodes: list[onnx.NodeProto] = dataclasses.field(default_factory=list)
    constants: dict[tuple[Any, ...], onnx.TensorProto] = dataclasses.field(default_factory=dict)
    batch: str | None = None

    def add(self, operation: str, values: Sequence[Any], count: int = 1, **attributes: Any) -> Any:
        """Adds a node; returns the name of its output, or a list of `count` names."""
        names = [f"t{len(self.nodes)}_{i}" for i in range(count)]
        tensors = [self.tensor(value) for value in values]
        self.nodes.append(helper.make_node(operation, tensors, names, **attributes))
        return names[0] if count == 1 else names

    def tensor(self, value: Any) -> str:
        """The name of a value; a constant is stored once."""
        if isinstance(value, str):
            return value
        value = np.asarray(value)
        key = (value.shape, value.dtype.str, value.tobytes())
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(value, f"c{len(self.constants)}")
        return self.constants[key].name

    def shape(self, sizes: Sequence[Any]) -> Any:
        """A shape as a value: the batch, where it occurs, is read from the first input."""
        if all(isinstance(size, int | np.integer) for size in sizes):
            return np.asarray(sizes, np.int64)
        if self.batch is None:
            self.batch = self.add("Shape", [self.batch_input], start=0, end=1)
        parts = [
            np.asarray([size], np.int64) if isinstance(size, int | np.integer) else self.batch
            for size in sizes
        ]
        return self.add("Concat", parts, axis=0)


def _inline(graph: _Graph, jaxpr: Any, constants: Sequence[Any], inputs: Sequence[Any]) -> list:
    """Writes all operations of a trace; returns the values of its results."""
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *inputs], strict=True))

    def read(variable: Any) -> Any:
        return np.asarray(variable.val) if hasattr(variable, "val") else values[variable]

    for equation in jaxpr.eqns:
        results = _write(graph, equation, [read(x) for x in equation.invars])
        values.update(zip(equation.outvars, results, strict=True))
    return [read(x) for x in jaxpr.outvars]


def _write(graph: _Graph, equation: Any, values: list[Any]) -> list[Any]:
    name, params = equation.primitive.name, equation.params
    if name in _INLINED:
        inner = params[_INLINED[name]]
        inner, constants = getattr(inner, "jaxpr", inner), getattr(inner, "consts", ())
        return _inline(graph, inner, [np.asarray(x) for x in constants], values)
    known_shapes = all(_is_fixed(x.aval.shape) for x in equation.outvars)
    if known_shapes and not any(isinstance(value, str) for value in values):
        results = equation.primitive.bind(*values, **params)
        results = results if equation.primitive.multiple_results else [results]
        return [np.asarray(result) for result in results]
    if name in _UNCHANGED:
        return values
    if name in _SAME_IN_ONNX:
        return [graph.add(_SAME_IN_ONNX[name], values)]
    if name not in _RULES:
        raise ValueError(f"the operation {name!r} has no rule by which to export it as ONNX.")
    result = _RULES[name](graph, equation, *values)
    return result if isinstance(result, list) else [result]


def _convolution(graph: _Graph, equation: Any, features: Any, kernel: Any) -> str:
    params = equation.params
    layout = params["dimension_numbers"]
    if set(params["lhs_dilation"]) != {1} or params["batch_group_count"] != 1:
        raise ValueError("transposed convolutions have no rule by which to export them as ONNX.")
    out = graph.add(
        "Conv",
        [
            _transposed(graph, features, layout.lhs_spec),
            _transposed(graph, kernel, layout.rhs_spec),
        ],
        strides=params["window_strides"],
        pads=[pad[end] for end in (0, 1) for pad in params["padding"]],
        dilations=params["rhs_dilation"],
        group=params["feature_group_count"],
    )
    return _transposed(graph, out, np.argsort(layout.out_spec).tolist())


def _transposed(graph: _Graph, value: Any, order: Sequence[int]) -> Any:
    if isinstance(value, str):
        return graph.add("Transpose", [value], perm=list(order))
    return np.transpose(value, order)


def _transpose(graph: _Graph, equation: Any, value: Any) -> Any:
    return _transposed(graph, value, equation.params["permutation"])


def _broadcast(graph: _Graph, equation: Any, value: Any) -> str:
    (before,), (after,) = ([x.aval.shape for x in xs] for xs in (equation.invars, equation.outvars))
    spread = [1] * len(after)
    for axis, size in zip(equation.params["broadcast_dimensions"], before, strict=True):
        spread[axis] = size
    if tuple(spread) != tuple(before):
        value = graph.add("Reshape", [value, _at_most_one_free(spread)])
    if tuple(spread) == tuple(after):
        return value
    wanted = [1 if had == size else size for had, size in zip(spread, after, strict=True)]
    return graph.add("Expand", [value, graph.shape(wanted)])


def _reshape(graph: _Graph, equation: Any, value: Any) -> str:
    return graph.add("Reshape", [value, _at_most_one_free(equation.outvars[0].aval.shape)])


def _at_most_one_free(shape: Sequence[Any]) -> np.ndarray:
    """A shape for Reshape, which fills in the one length that is -1."""
    return np.asarray([size if _is_fixed([size]) else -1 for size in shape], np.int64)


def _reduction(operation: str) -> Callable[..., str]:
    def reduce(graph: _Graph, equation: Any, value: Any) -> str:
        axes = np.asarray(equation.params["axes"], np.int64)
        return graph.add(operation, [value, axes], keepdims=0)

    return reduce


def _split(graph: _Graph, equation: Any, value: Any) -> list[str]:
    sizes = np.asarray(equation.params["sizes"], np.int64)
    names = graph.add("Split", [value, sizes], len(sizes), axis=equation.params["axis"])
    return [names] if isinstance(names, str) else names


def _slice(graph: _Graph, equation: Any, value: Any) -> str:
    params, shape = equation.params, equation.invars[0].aval.shape
    steps = params["strides"] or [1] * len(shape)
    ends = [
        end if _is_fixed([end]) else np.iinfo(np.int64).max  # to the end of the batch
        for end in params["limit_indices"]
    ]
    bounds = (params["start_indices"], ends, range(len(shape)), steps)
    return graph.add("Slice", [value, *(np.asarray(list(b), np.int64) for b in bounds)])


def _concatenate(graph: _Graph, equation: Any, *values: Any) -> str:
    return graph.add("Concat", values, axis=equation.params["dimension"])


def _stack(graph: _Graph, equation: Any, *values: Any) -> str:
    axis = equation.params["axis"]
    parts = [graph.add("Unsqueeze", [value, np.asarray([axis])]) for value in values]
    return graph.add("Concat", parts, axis=axis)


def _convert(graph: _Graph, equation: Any, value: Any) -> str:
    wanted = equation.params["new_dtype"]
    if equation.invars[0].aval.dtype == wanted:
        return value
    return graph.add("Cast", [value], to=helper.np_dtype_to_tensor_dtype(np.dtype(wanted)))


_RULES = {
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "conv_general_dilated": _convolution,
    "convert_element_type": _convert,
    "reduce_max": _reduction("ReduceMax"),
    "reduce_sum": _reduction("ReduceSum"),
    "reshape": _reshape,
    "slice": _slice,
    "split": _split,
    "squeeze": _reshape,
    "stack": _stack,
    "transpose": _transpose,
}


def _is_fixed(shape: Sequence[Any]) -> bool:
    return all(isinstance(size, int | np.integer) for size in shape)


def _describe(name: str, aval: Any) -> onnx.ValueInfoProto:
    sizes = [int(size) if _is_fixed([size]) else "batch" for size in aval.shape]
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)
