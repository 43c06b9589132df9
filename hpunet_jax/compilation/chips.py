"""The TPU chips that a step can be compiled for, none of which need be there."""

import os
from typing import NamedTuple

import jax
from jax.experimental import topologies


class Chip(NamedTuple):
    """A TPU chip's figures as Google's documentation gives them.

    Attributes:
      hbm_gib: memory.
      peak_tflops: highest rate of bfloat16 operations.
      hbm_gb_per_second: memory bandwidth.
      link_gb_per_second: bandwidth of one link to a neighbour, in one direction.
      clock_ghz: clock; the peak rate over the operations of all matrix units in a cycle.
      matrix_unit: rows and columns of a matrix unit.
      chip_config: the libtpu configuration that real chips run with, where that is not the default.
        The two cores of a v4 chip are one device ("megacore"); v5p's are by default, v5e and v6e
        have one core.
    """

    hbm_gib: float
    peak_tflops: float
    hbm_gb_per_second: float
    link_gb_per_second: float
    clock_ghz: float
    matrix_unit: int = 128
    chip_config: str | None = None


CHIPS = {
    "v4": Chip(32, 275, 1200, 50, 1.05, chip_config="megacore"),  # 2 cores of 4 matrix units
    "v5e": Chip(16, 197, 819, 50, 1.5),  # 4 matrix units
    "v5p": Chip(95, 459, 2765, 100, 1.75),  # 2 cores of 4 matrix units
    # Google's pages name 2 or 4 matrix units; with 4 the clock is that of v5p.
    "v6e": Chip(32, 918, 1640, 112, 1.75, matrix_unit=256),
}


def topology_devices(topology: str) -> list[jax.Device]:
    """The devices of a TPU topology on a machine without one, as a program on it would get them.

    Args:
      topology: generation and shape, such as "v4:4x4x4".

    Returns:
      One device for each chip.

    Raises:
      ValueError: if the generation is not in `CHIPS`, or libtpu is missing, in use, or does not
        know the topology.
    """
    generation, _, shape = topology.partition(":")
    if generation not in CHIPS or not shape:
        raise ValueError(
            f"the topology must be a generation ({', '.join(CHIPS)}) and its shape, such as "
            f"v4:4x4x4, not {topology!r}."
        )
    for name, value in (
        ("TPU_SKIP_MDS_QUERY", "1"),  # there is no metadata server
        ("TPU_WORKER_HOSTNAMES", "localhost"),
        ("TPU_ACCELERATOR_TYPE", "v4-8"),
        ("ALLOW_MULTIPLE_LIBTPU_LOAD", "1"),  # libtpu guards a device, and none is used here
    ):
        os.environ.setdefault(name, value)
    config = CHIPS[generation].chip_config
    options = {"chip_config_name": config} if config else {}
    try:
        found = topologies.get_topology_desc(topology_name=topology, platform="tpu", **options)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise ValueError(f"cannot describe {topology}: {_reason(topology, str(error))}") from error
    return found.devices


def _reason(topology: str, message: str) -> str:
    """What to do about an error of libtpu."""
    if "lockfile" in message:
        return (
            "another process uses libtpu, which lets in one at a time. Wait until it ends, or set "
            "ALLOW_MULTIPLE_LIBTPU_LOAD=1 for both, which is safe where no TPU is attached; if "
            "none runs, remove /tmp/libtpu_lockfile."
        )
    if "NOT_FOUND" in message or "INVALID_ARGUMENT" in message:
        return (
            f"libtpu does not know this topology ({message.splitlines()[0][:150]}). Shapes are "
            f"{'3' if topology.startswith(('v4', 'v5p')) else '2'}-dimensional and whole hosts, "
            "such as v4:2x2x1, v5p:2x2x2, v5e:2x4 or v6e:4x4."
        )
    return f"{message.splitlines()[0][:200]} It takes the package libtpu: pip install -e .[tpu]"
