"""What the operations of a compiled program cost: memory, matrix passes, the compiler's cycles.

All of it is read from the program, none is measured. Bytes of main memory are those of operands and
results that do not lie on the chip, each taken as read or written whole. Matrix passes are the
multiplications that a convolution costs a matrix unit: units multiply whole blocks of 128x128
(v6e: 256x256), so narrow convolutions cost more than they compute. Cycles are the estimates that
the compiler schedules by; it gives none for copies in the background, collectives and gathers.
"""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from hpunet_jax.compilation.program import Array, Computation, Operation, Program

# They move nothing; what starts in the background counts where it starts.
FREE = {
    "after-all", "bitcast", "call", "conditional", "constant", "get-tuple-element", "opt-barrier",
    "parameter", "partition-id", "replica-id", "tuple", "while",
}  # fmt: skip
COLLECTIVES = ("all-gather", "all-reduce", "all-to-all", "collective-permute", "reduce-scatter")
_MOVING = {
    "bitcast", "broadcast", "concatenate", "constant", "convert", "copy", "dynamic-slice",
    "dynamic-update-slice", "iota", "pad", "parameter", "reshape", "reverse", "slice", "transpose",
    "tuple", "fusion", "get-tuple-element", "bitcast-convert", "copy-start", "slice-start",
}  # fmt: skip
_SCALE = re.compile(r"\b(?P<module>[a-z]+(?:_[a-z]+)*(?:/encoder)?)\)*/scale_(?P<number>\d+)\b")
_MODULE = re.compile(r"\b(unet|prior|posterior|prior_encoder|posterior_encoder|output_decoder)\b")
_PASSES = {"highest": 6, "high": 3}  # of bfloat16, for a product of float32 numbers


class Cost(NamedTuple):
    """The cost of one operation of a schedule, all the times that it runs.

    Attributes:
      kind: "convolution", "reduction", "gather", "elementwise", "copy" (also what pads, slices,
        joins or turns around), "background copy" or "collective".
      level: the scale of the network that it belongs to, "0" the finest; or "between levels" for
        what lies in the network elsewhere, "outside the network", "unnamed".
      times: how often it runs.
      hbm_bytes: read from and written to main memory.
      all_bytes: the same with what lies in memories on the chip; all in whole tiles.
      cycles: the compiler's estimate; 0 where it gives none.
      matrix_flops: operations of matrix units, in whole blocks.
    """

    kind: str
    level: str
    times: int
    hbm_bytes: int
    all_bytes: int
    cycles: int
    matrix_flops: int


def costs(program: Program, num_scales: int, matrix_unit: int = 128) -> Iterator[Cost]:
    """The cost of each operation that a device runs.

    Args:
      program: the compiled program.
      num_scales: number of the network's processing scales.
      matrix_unit: rows and columns of a matrix unit.

    Yields:
      The costs, in the order of the schedule.
    """
    for operation, computation, times in program.schedule():
        if operation.opcode in FREE or operation.opcode.endswith("-done"):
            continue
        if operation.attribute("custom_call_target") == '"ConcatBitcast"':
            continue
        hbm, everywhere = _bytes(operation, computation)
        convolutions = list(_convolutions(program, operation, computation))
        named = convolutions[0][0] if convolutions else operation
        cycles = re.search(r'"estimated_cycles":"(\d+)"', operation.text)
        yield Cost(
            _kind(program, operation),
            _level(named.op_name or operation.op_name, num_scales),
            times,
            times * hbm,
            times * everywhere,
            times * int(cycles[1]) if cycles else 0,
            times * sum(_matrix_flops(*found, matrix_unit) for found in convolutions),
        )


def _bytes(operation: Operation, computation: Computation) -> tuple[int, int]:
    """Bytes in main memory, and in all memories, of what an operation reads and writes."""
    read = [array for name in operation.operands for array in _results(computation, name)]
    written = operation.results
    if operation.opcode == "copy-start":  # (to, from, context)
        written = written[:1]
    elif operation.opcode == "slice-start":  # ((from), to, context); it reads what it writes
        written = written[len(read) : len(read) + 1]
        read = [array._replace(tiled_bytes=written[0].tiled_bytes) for array in read[:1]]
    elif operation.opcode.endswith("-start") and operation.opcode != "all-reduce-start":
        written = written[len(read) :]  # ((from), to, contexts)
    moved = [(array.space, array.tiled_bytes) for array in (*read, *written)]
    return sum(size for space, size in moved if not space), sum(size for _, size in moved)


def _results(computation: Computation, name: str) -> tuple[Array, ...]:
    operation = computation.get(name)
    return operation.results if operation else ()


def _convolutions(
    program: Program, operation: Operation, computation: Computation
) -> Iterator[tuple[Operation, Computation]]:
    for inner, where in ((operation, computation), *program.inside(operation)):
        if inner.opcode == "convolution":
            yield inner, where


def _kind(program: Program, operation: Operation) -> str:
    opcode = operation.opcode
    if opcode.removesuffix("-start") in COLLECTIVES:
        return "collective"
    if opcode.endswith("-start"):
        return "background copy"
    inside = {inner.opcode for inner, _ in program.inside(operation)} or {opcode}
    for kind, opcodes in (
        ("convolution", {"convolution", "dot"}),
        ("gather", {"gather", "scatter"}),
        ("reduction", {"reduce", "reduce-window"}),
    ):
        if inside & opcodes:
            return kind
    # Padded pieces are joined by their maximum.
    moving = _MOVING | ({"maximum"} if "pad" in inside else set())
    return "copy" if inside <= moving else "elementwise"


def _level(name: str, num_scales: int) -> str:
    """The scale that an operation's name, such as "jvp(prior)/scale_3/...", belongs to."""
    if match := _SCALE.search(name):
        from_coarsest = match["module"] in ("prior", "posterior", "output_decoder")
        number = int(match["number"])
        return str(num_scales - 1 - number if from_coarsest else number)
    if _MODULE.search(name):
        return "between levels"
    return "outside the network" if name else "unnamed"


def _matrix_flops(operation: Operation, computation: Computation, unit: int) -> int:
    """Operations of matrix units for a convolution, in whole blocks.

    For every tap a convolution is a product of matrices: [positions, in] x [in, out] where it
    computes features or their gradients, [in, positions] x [positions, out] where it computes a
    kernel's gradient. Each of the three sizes takes whole blocks. Along an axis, the taps are the
    smallest of the sizes of features, window and result: beyond the features there are zeros.
    """
    labels = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", operation.text)
    if labels is None:
        raise ValueError(f"the compiled convolution has no dim_labels: {operation.text[:200]}")
    features_axes, kernel_axes, axes = labels.groups()
    features = _results(computation, operation.operands[0])[0].shape
    kernel = _results(computation, operation.operands[1])[0].shape
    result = operation.results[0].shape
    rows, columns = result[axes.index("b")], result[axes.index("f")]
    inner = kernel[kernel_axes.index("i")]
    dilated = re.search(r"lhs_dilate=([\dx]+)", operation.text)
    taps = 1
    for axis in range(len(axes) - 2):
        positions = result[axes.index(str(axis))]
        window = kernel[kernel_axes.index(str(axis))]
        if dilated:  # the other taps fall on zeros that lie between
            window = math.ceil(window / int(dilated[1].split("x")[axis]))
        taps *= min(positions, window, features[features_axes.index(str(axis))])
        rows *= positions if positions >= window else 1
        inner *= window if positions < window else 1
    blocks = math.prod(math.ceil(size / unit) * unit for size in (rows, inner, columns))
    precision = operation.attribute("operand_precision").strip("{}")
    return 2 * taps * blocks * _PASSES.get(precision, 1)
