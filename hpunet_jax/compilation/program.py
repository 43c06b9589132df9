"""Reading the text of a program that XLA has compiled: what the device runs, and how often.

The text (`jax.stages.Compiled.as_text`) is a list of computations. That of the entry is a schedule,
run one operation after the other. A fusion is one operation; its own computation says what is in
it. The body of a loop runs as often as the loop's condition lets it.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_HEAD = re.compile(r"(?P<entry>ENTRY )?%(?P<name>[^ ]+) \(.*\) -> .* \{$")
_ARRAY = re.compile(
    r"(?P<type>pred|bf16|f8\w*|[sufc]\d+)\[(?P<sizes>[\d,]*)\](?:\{(?P<layout>[^}]*)\})?"
)
_TILE = re.compile(r"T\((?P<sizes>[\d,]+)\)")
_SPACE = re.compile(r"S\((?P<space>\d+)\)")
_COMMENT = re.compile(r"/\*.*?\*/")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(?P<n>\d+)"\}')


class Array(NamedTuple):
    """An array of a compiled program.

    Attributes:
      shape: sizes of its axes.
      bits: of an element.
      bytes: size without padding.
      tiled_bytes: size where it lies, padded to whole tiles.
      space: memory that it lies in: 0 is the device's main memory (HBM), others are on the chip.
    """

    shape: tuple[int, ...]
    bits: int
    bytes: int
    tiled_bytes: int
    space: int


class Operation(NamedTuple):
    """One operation of a computation.

    Attributes:
      name: its name in the program.
      opcode: what it does, such as "fusion" or "convolution".
      results: the arrays that it gives.
      operands: names of the operations whose results it takes.
      text: the rest of its line: attributes, metadata and what the compiler estimates.
    """

    name: str
    opcode: str
    results: tuple[Array, ...]
    operands: tuple[str, ...]
    text: str

    def attribute(self, name: str, default: str = "") -> str:
        """The value of an attribute, up to the next comma or blank."""
        match = re.search(rf"\b{name}=%?([^\s,]+)", self.text)
        return match[1] if match else default

    @property
    def op_name(self) -> str:
        """The operation of the model that it comes from; "" if the compiler does not say."""
        match = re.search(r'op_name="([^"]*)"', self.text)
        return match[1] if match else ""


Computation = Mapping[str, Operation]


class Program(NamedTuple):
    """A compiled program.

    Attributes:
      computations: operations by name, of each computation by name.
      entry: the name of the computation that the device runs.
    """

    computations: Mapping[str, Computation]
    entry: str

    def inside(self, operation: Operation) -> Iterator[tuple[Operation, Computation]]:
        """What is computed within an operation that is run at once, with its computation.

        For a fusion these are the operations of its computation, of other fusions in it, too.
        """
        if operation.opcode != "fusion":
            return
        computation = self.computations[operation.attribute("calls")]
        for inner in computation.values():
            yield inner, computation
            yield from self.inside(inner)

    def schedule(
        self, computation: str | None = None
    ) -> Iterator[tuple[Operation, Computation, int]]:
        """The operations that the device runs: each with its computation and how often it runs.

        Of a conditional's branches all are listed, once.
        """
        operations = self.computations[computation or self.entry]
        for operation in operations.values():
            yield operation, operations, 1
            if operation.opcode == "while":
                trips = self._trips(operation)
                for inner, where, times in self.schedule(operation.attribute("body")):
                    yield inner, where, times * trips
            elif operation.opcode == "call":
                yield from self.schedule(operation.attribute("to_apply"))
            elif operation.opcode == "conditional":
                branches = re.search(r"branch_computations=\{([^}]*)\}", operation.text)
                names = branches[1].replace("%", "").split(", ") if branches else []
                for name in names:
                    yield from self.schedule(name)

    def _trips(self, loop: Operation) -> int:
        """How often a loop runs: the bound that its condition compares the counter with."""
        if match := _TRIPS.search(loop.text):
            return int(match["n"])
        condition = self.computations[loop.attribute("condition")]
        bounds = [
            int(match[1])
            for operation in condition.values()
            if (match := re.match(r"constant\((\d+)\)", f"{operation.opcode}({operation.text}"))
        ]
        return bounds[0] if len(bounds) == 1 else 1


def parse(text: str) -> Program:
    """Reads the text of a compiled program.

    Args:
      text: what `jax.stages.Compiled.as_text` gives.

    Returns:
      The program.
    """
    computations: dict[str, dict[str, Operation]] = {}
    entry = ""
    operations: dict[str, Operation] = {}
    for line in text.splitlines():
        if head := _HEAD.match(line):
            operations = computations.setdefault(head["name"], {})
            entry = head["name"] if head["entry"] else entry
        elif line.startswith("  ") and " = " in line:
            operation = _operation(_COMMENT.sub("", line).strip())
            operations[operation.name] = operation
    return Program(computations, entry)


def _operation(line: str) -> Operation:
    """Reads "[ROOT ]%name = shape opcode(operands), attributes"."""
    name, rest = line.removeprefix("ROOT ").split(" = ", 1)
    end = _closing(rest) + 1 if rest.startswith("(") else rest.index(" ")
    opcode, rest_of_line = rest[end:].strip().split("(", 1)
    inner_end = _closing("(" + rest_of_line) - 1
    operands = re.findall(r"%([^\s,()]+)", rest_of_line[:inner_end])
    return Operation(name.lstrip("%"), opcode, arrays(rest[:end]), tuple(operands), rest_of_line)


def _closing(text: str) -> int:
    """The position of the parenthesis that closes the one at the beginning."""
    depth = 0
    for match in re.finditer(r"[()]", text):
        depth += 1 if match[0] == "(" else -1
        if not depth:
            return match.start()
    raise ValueError(f"no closing parenthesis in {text[:80]!r}")


def arrays(shape: str) -> tuple[Array, ...]:
    """The arrays of a shape, such as "(f32[8,3]{1,0:T(8,128)}, s32[])"."""
    return tuple(_array(match) for match in _ARRAY.finditer(shape))


def _array(match: re.Match[str]) -> Array:
    number = re.search(r"\d+", match["type"])
    bits = int(number[0]) if number else 8  # pred
    shape = tuple(int(n) for n in match["sizes"].split(",") if n)
    order, _, tiling = (match["layout"] or "").partition(":")
    minor_to_major = [int(axis) for axis in order.split(",") if axis] or range(len(shape))[::-1]
    padded = [shape[axis] for axis in minor_to_major]
    if tile := _TILE.search(tiling):
        sizes = [int(n) for n in tile["sizes"].split(",")][::-1]
        padded += [1] * (len(sizes) - len(padded))
        for axis, size in enumerate(sizes):
            padded[axis] = math.ceil(padded[axis] / size) * size
    space = _SPACE.search(tiling)
    return Array(
        shape,
        bits,
        math.prod(shape) * bits // 8,
        math.prod(padded) * bits // 8,
        int(space["space"]) if space else 0,
    )
