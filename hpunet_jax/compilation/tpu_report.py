"""What a training step needs on TPUs that are not there: ahead-of-time compilation (Appendix D.3).

XLA compiles for a TPU topology without the hardware, given the package libtpu. The compiled program
says how much memory it needs on each core and how the cores communicate. It says nothing about
speed that has been measured.
"""

import collections
import math
import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies

from hpunet_jax.training import mesh as meshes
from hpunet_jax.training.setup import Setup


class Chip(NamedTuple):
    """A TPU chip's figures as Google's documentation gives them.

    Attributes:
      hbm_gib: memory.
      peak_tflops: highest rate of bfloat16 operations.
      hbm_gb_per_second: memory bandwidth.
      link_gb_per_second: bandwidth of one link to a neighbour, in one direction.
    """

    hbm_gib: float
    peak_tflops: float
    hbm_gb_per_second: float
    link_gb_per_second: float


CHIPS = {"v4": Chip(32, 275, 1200, 50), "v5e": Chip(16, 197, 819, 50)}

_KINDS = ("all-gather", "all-reduce", "all-to-all", "collective-permute", "reduce-scatter")
_INSTRUCTION = re.compile(rf"= (?P<shape>.*?) (?P<kind>{'|'.join(_KINDS)})(?:-start)?\(")
_ARRAY = re.compile(r"(?P<type>pred|bf16|[suf]\d+)\[(?P<sizes>[\d,]*)\]")
_NAME = re.compile(r'op_name="(?P<name>[^"]*)"')


class Collective(NamedTuple):
    """One communication between cores in a compiled program.

    Attributes:
      kind: "all-gather", "all-reduce", "all-to-all", "collective-permute" or "reduce-scatter".
      shape: shape of its result on one core; of several, that of the largest.
      bytes: size of its results on one core.
      name: the operation of the model that it belongs to; "" if the compiler does not say.
    """

    kind: str
    shape: tuple[int, ...]
    bytes: int
    name: str


def collectives(program: str) -> Iterator[Collective]:
    """Finds the communication in the text of a compiled program.

    Args:
      program: the text of an HLO module. An operation in the body of a loop counts once.

    Yields:
      The collectives, in their order.
    """
    for line in program.splitlines():
        if (match := _INSTRUCTION.search(line)) is None:
            continue
        arrays = [_bytes_and_shape(array) for array in _ARRAY.finditer(match["shape"])]
        largest, shape = max(arrays, default=(0, ()))
        # What starts asynchronously has operands beside results; the result is the largest.
        total = largest if f"{match['kind']}-start(" in line else sum(size for size, _ in arrays)
        name = _NAME.search(line)
        yield Collective(match["kind"], shape, total, name["name"] if name else "")


def _bytes_and_shape(array: re.Match[str]) -> tuple[int, tuple[int, ...]]:
    bits = 8 if array["type"] == "pred" else int(array["type"].lstrip("bsuf"))
    shape = tuple(int(n) for n in array["sizes"].split(",") if n)
    return math.prod(shape) * bits // 8, shape


def topology_devices(topology: str) -> list[jax.Device]:
    """The devices of a TPU topology, such as "v4:4x4x4", on a machine without one.

    Raises:
      ValueError: if the generation is not in `CHIPS`, or libtpu is missing or does not know it.
    """
    generation = topology.partition(":")[0]
    if generation not in CHIPS or ":" not in topology:
        raise ValueError(
            f"the topology must be a generation ({', '.join(CHIPS)}) and its shape, such as "
            f"v4:4x4x4, not {topology!r}."
        )
    for name, value in (
        ("TPU_SKIP_MDS_QUERY", "1"),  # there is no metadata server
        ("TPU_WORKER_HOSTNAMES", "localhost"),
        ("TPU_ACCELERATOR_TYPE", "v4-8"),
    ):
        os.environ.setdefault(name, value)
    try:
        return topologies.get_topology_desc(topology_name=topology, platform="tpu").devices
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise ValueError(
            f"cannot describe {topology}: {str(error).splitlines()[0][:200]} It takes the package "
            "libtpu: pip install -e .[tpu]"
        ) from error


def compile_step(
    setup: Setup, batch_size: int, example_shapes: Mapping[str, jax.ShapeDtypeStruct]
) -> jax.stages.Compiled:
    """Compiles a whole training step for devices that need not exist.

    Args:
      setup: what a config describes, on those devices.
      batch_size: number of examples of a batch.
      example_shapes: shape and dtype of one example of the data set, by its features' names.

    Returns:
      The compiled step.
    """
    where = meshes.by_image(setup.mesh)
    examples = {
        name: jax.ShapeDtypeStruct((batch_size, *x.shape), x.dtype, sharding=where)
        for name, x in example_shapes.items()
    }
    step: Any = setup.step  # jitted
    return step.lower(setup.state_shapes(), examples).compile()


def report(
    compiled: jax.stages.Compiled,
    topology: str,
    num_devices: int,
    updates: Collection[tuple[int, ...]] = (),
) -> dict[str, Any]:
    """What one device (a core of v4, a chip of v5e) needs for a step.

    Args:
      compiled: the compiled step.
      topology: the topology, such as "v4:4x4x4".
      num_devices: number of its devices.
      updates: shapes of what may be gathered: with a split optimizer, the parameters' updates.

    Returns:
      A mapping for a JSON file: memory in GiB, operations, bytes, collectives by kind, and one by
      one the all-gathers of activations: of all shapes but those in `updates`.
    """
    generation, _, shape = topology.partition(":")
    chips_per_device = math.prod(map(int, shape.split("x"))) / num_devices
    memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
    found = list(collectives(compiled.as_text()))
    by_kind = collections.defaultdict(lambda: {"count": 0, "mib": 0.0})
    for collective in found:
        by_kind[collective.kind]["count"] += 1
        by_kind[collective.kind]["mib"] += collective.bytes / 2**20
    gib = {
        "arguments": memory.argument_size_in_bytes / 2**30,
        "results_beside_them": (memory.output_size_in_bytes - memory.alias_size_in_bytes) / 2**30,
        "temporary": memory.temp_size_in_bytes / 2**30,
        "program": memory.generated_code_size_in_bytes / 2**30,
    }
    hbm_gib = CHIPS[generation].hbm_gib * chips_per_device
    return {
        "topology": topology,
        "devices": num_devices,
        "chips_per_device": chips_per_device,
        "hbm_gib": hbm_gib,
        "memory_gib": {**gib, "total": sum(gib.values())},
        "fits": sum(gib.values()) <= hbm_gib,
        "tflop": cost["flops"] / 1e12,
        "gib_accessed": cost["bytes accessed"] / 2**30,
        "collectives": dict(by_kind),
        "all_gathers": [
            c._asdict() for c in found if c.kind == "all-gather" and c.shape not in updates
        ],
    }


def estimate_seconds(result: Mapping[str, Any], num_devices: int | None = None) -> dict[str, float]:
    """A roofline estimate of a step's time, not a measurement.

    Args:
      result: what `report` returned.
      num_devices: number of devices along which the batch grows, with as many images on each; None:
        that of the report.

    Returns:
      "compute", operations at the chip's peak rate; "memory", bytes at its memory's bandwidth;
      "communication", all collectives over one link, of which all-reduces send 2 (n - 1) / n of
      their bytes; and "total": the larger of the first two, then communication, not overlapped.
    """
    chip = CHIPS[result["topology"].partition(":")[0]]
    chips, n = result["chips_per_device"], num_devices or result["devices"]
    compute = result["tflop"] / (chip.peak_tflops * chips)
    memory = result["gib_accessed"] * 2**30 / (chip.hbm_gb_per_second * chips * 1e9)
    sent = sum(
        kind["mib"] * (2 * (n - 1) / n if name == "all-reduce" else 1)
        for name, kind in result["collectives"].items()
    )
    communication = sent * 2**20 / (chip.link_gb_per_second * 1e9)
    return {
        "compute": compute,
        "memory": memory,
        "communication": communication,
        "total": max(compute, memory) + communication,
    }
