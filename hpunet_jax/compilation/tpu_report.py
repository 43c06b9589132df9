"""What a training step needs on TPUs that are not there: ahead-of-time compilation (Appendix D.3).

XLA compiles for a TPU topology without the hardware, given the package libtpu. The compiled program
says how much memory it needs on each device, how the devices communicate, what it moves and
multiplies, and how many cycles the compiler schedules for it. Nothing of this has been measured.
"""

import collections
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax

from hpunet_jax.compilation.chips import CHIPS
from hpunet_jax.compilation.cost import COLLECTIVES, Cost, costs
from hpunet_jax.compilation.program import Program, parse
from hpunet_jax.training import mesh as meshes
from hpunet_jax.training.setup import Setup


class Collective(NamedTuple):
    """One communication between devices in a compiled program.

    Attributes:
      kind: "all-gather", "all-reduce", "all-to-all", "collective-permute" or "reduce-scatter".
      shape: shape of its result on one device; of several, that of the largest.
      bytes: size of its results on one device.
      times: how often it runs in a step.
      name: the operation of the model that it belongs to; "" if the compiler does not say.
    """

    kind: str
    shape: tuple[int, ...]
    bytes: int
    times: int
    name: str


def collectives(program: Program) -> Iterator[Collective]:
    """The communication of a compiled program, in its order."""
    for operation, _, times in program.schedule():
        kind = operation.opcode.removesuffix("-start")
        if kind not in COLLECTIVES:
            continue
        largest = max(operation.results, key=lambda array: array.bytes)
        # What starts asynchronously has operands beside results; the result is the largest.
        started = operation.opcode.endswith("-start")
        total = largest.bytes if started else sum(array.bytes for array in operation.results)
        yield Collective(kind, largest.shape, total, times, operation.op_name)


def compile_step(
    setup: Setup,
    batch_size: int,
    example_shapes: Mapping[str, jax.ShapeDtypeStruct],
    hbm_gib: float = math.inf,
) -> jax.stages.Compiled:
    """Compiles a whole training step for devices that need not exist.

    Args:
      setup: what a config describes, on those devices.
      batch_size: number of examples of a batch.
      example_shapes: shape and dtype of one example of the data set, by its features' names.
      hbm_gib: memory of a device; nothing is compiled if not even state and batch fit.

    Returns:
      The compiled step.

    Raises:
      ValueError: if the step needs more memory than a device has.
    """
    where = meshes.by_image(setup.mesh)
    examples = {
        name: jax.ShapeDtypeStruct((batch_size, *x.shape), x.dtype, sharding=where)
        for name, x in example_shapes.items()
    }
    state = setup.state_shapes()
    gib = sum(_bytes_of_a_device(x) for x in jax.tree.leaves((state, examples))) / 2**30
    if gib > hbm_gib:
        raise ValueError(
            f"the state and a batch of {batch_size} images on {setup.mesh.size} devices take "
            f"{gib:.1f} GiB of each, which has {hbm_gib:.1f}: use more devices, a smaller "
            "training.batch_size, a smaller network, or mesh.shard_optimizer."
        )
    step: Any = setup.step  # jitted
    lowered = step.lower(state, examples)
    try:
        return lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise ValueError(
            f"the step of {batch_size} images on {setup.mesh.size} devices does not fit the memory "
            f"of a device: {str(error).splitlines()[0][:200]} Use more devices, a smaller "
            "training.batch_size, a larger mesh.space, model.dtype=bfloat16 or model.remat."
        ) from error


def _bytes_of_a_device(x: jax.ShapeDtypeStruct) -> int:
    shape = x.sharding.shard_shape(x.shape) if x.sharding else x.shape
    return math.prod(shape) * x.dtype.itemsize


def report(
    compiled: jax.stages.Compiled,
    topology: str,
    num_devices: int,
    num_scales: int,
    updates: Collection[tuple[int, ...]] = (),
) -> dict[str, Any]:
    """What one device needs for a step.

    Args:
      compiled: the compiled step.
      topology: the topology, such as "v4:4x4x4".
      num_devices: number of its devices.
      num_scales: number of the network's processing scales.
      updates: shapes of what may be gathered: with a split optimizer, the parameters' updates.

    Returns:
      A mapping for a JSON file: memory in GiB; what is computed and moved, in all, by level of the
      network and by kind of operation; collectives by kind; and one by one the all-gathers of
      activations: of all shapes but those in `updates`.

    Raises:
      ValueError: if the compiler does not say what its programs need.
    """
    generation, _, shape = topology.partition(":")
    chips_per_device = math.prod(map(int, shape.split("x"))) / num_devices
    memory, xla, text = compiled.memory_analysis(), compiled.cost_analysis(), compiled.as_text()
    if memory is None or xla is None or text is None:
        raise ValueError(f"the compiler for {topology} does not say what its programs need.")
    program = parse(text)
    found = list(collectives(program))
    by_kind = collections.defaultdict(lambda: {"count": 0, "mib": 0.0})
    for collective in found:
        by_kind[collective.kind]["count"] += collective.times
        by_kind[collective.kind]["mib"] += collective.times * collective.bytes / 2**20
    gib = {
        "arguments": memory.argument_size_in_bytes / 2**30,
        "results_beside_them": (memory.output_size_in_bytes - memory.alias_size_in_bytes) / 2**30,
        "temporary": memory.temp_size_in_bytes / 2**30,
        "program": memory.generated_code_size_in_bytes / 2**30,
    }
    hbm_gib = CHIPS[generation].hbm_gib * chips_per_device
    operations = list(costs(program, num_scales, CHIPS[generation].matrix_unit))
    return {
        "topology": topology,
        "devices": num_devices,
        "chips_per_device": chips_per_device,
        "hbm_gib": hbm_gib,
        "memory_gib": {**gib, "total": sum(gib.values())},
        "fits": sum(gib.values()) <= hbm_gib,
        "tflop": xla["flops"] / 1e12,
        "xla_gib_accessed": xla["bytes accessed"] / 2**30,
        **total(operations),
        "by_level": _grouped(operations, "level"),
        "by_kind": _grouped(operations, "kind"),
        "collectives": dict(by_kind),
        "all_gathers": [
            c._asdict() for c in found if c.kind == "all-gather" and c.shape not in updates
        ],
    }


def total(operations: Iterable[Cost]) -> dict[str, float]:
    """The sum of operations' costs.

    Args:
      operations: the costs.

    Returns:
      "operations", how many are run; "gib_moved", to and from main memory; "gib_everywhere", the
      same with memories on the chip; "matrix_tflop", in whole blocks of the matrix units;
      "megacycles", the compiler's estimate; "copy_share" of copies in these.
    """
    operations = list(operations)
    cycles = sum(cost.cycles for cost in operations)
    copies = sum(cost.cycles for cost in operations if cost.kind == "copy")
    return {
        "operations": sum(cost.times for cost in operations),
        "gib_moved": sum(cost.hbm_bytes for cost in operations) / 2**30,
        "gib_everywhere": sum(cost.all_bytes for cost in operations) / 2**30,
        "matrix_tflop": sum(cost.matrix_flops for cost in operations) / 1e12,
        "megacycles": cycles / 1e6,
        "copy_share": copies / cycles if cycles else 0.0,
    }


def _grouped(operations: Iterable[Cost], field: str) -> dict[str, dict[str, float]]:
    groups = collections.defaultdict(list)
    for cost in operations:
        groups[getattr(cost, field)].append(cost)
    return {name: total(groups[name]) for name in sorted(groups)}


def estimate_seconds(result: Mapping[str, Any], num_devices: int | None = None) -> dict[str, float]:
    """Bounds and estimates of a step's time; none is a measurement.

    Args:
      result: what `report` returned.
      num_devices: number of devices along which the batch grows, with as many images on each; None:
        that of the report.

    Returns:
      "matrix", the matrix units' operations, in whole blocks, at their peak rate; "memory", what is
      moved to and from main memory at its bandwidth; "compiler", the compiler's cycles at the
      chip's clock, which leave out copies in the background, collectives, gathers and what starting
      an operation takes; "communication", the bytes of all collectives over one link, of which
      all-reduces send 2 (n - 1) / n, without latencies; and "total": the largest of the first
      three, then communication, not overlapped.
    """
    chip = CHIPS[result["topology"].partition(":")[0]]
    chips, n = result["chips_per_device"], num_devices or result["devices"]
    matrix = result["matrix_tflop"] / (chip.peak_tflops * chips)
    memory = result["gib_moved"] * 2**30 / (chip.hbm_gb_per_second * chips * 1e9)
    compiler = result["megacycles"] * 1e6 / (chip.clock_ghz * 1e9)
    sent = sum(
        kind["mib"] * (2 * (n - 1) / n if name == "all-reduce" else 1)
        for name, kind in result["collectives"].items()
    )
    communication = sent * 2**20 / (chip.link_gb_per_second * 1e9)
    return {
        "matrix": matrix,
        "memory": memory,
        "compiler": compiler,
        "communication": communication,
        "total": max(matrix, memory, compiler) + communication,
    }
