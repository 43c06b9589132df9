"""Whether a training step fits the memory of its devices, said before it runs out of it.

On CPUs the operating system ends a process that takes too much, without a word.
"""

import math
from collections.abc import Iterator
from typing import Any

import jax
from jax.extend.core import Jaxpr, JaxprEqn, subjaxprs

from hpunet_jax.memory import device_memory

_GIB = 2**30


def least_bytes(traced: jax.stages.Traced) -> int:
    """Bytes that a traced training step must hold at once, of all devices together: a bound.

    Half of what its convolutions write: their results in the forward pass, which the backward pass
    needs. XLA's own count, known after compiling, is 1.9 times as much for `configs/demo.py`.

    Args:
      traced: a jitted step for given shapes. A loop's body counts once, as micro-batches should;
        0 if a part is computed again in the backward pass (`model.remat`), which keeps less.
    """
    closed: Any = traced.jaxpr
    equations = list(_equations(closed.jaxpr))
    if any(equation.primitive.name in ("checkpoint", "remat2") for equation in equations):
        return 0
    results: list[Any] = [
        equation.outvars[0].aval
        for equation in equations
        if equation.primitive.name == "conv_general_dilated"
    ]
    return sum(math.prod(result.shape) * result.dtype.itemsize for result in results) // 2


def _equations(jaxpr: Jaxpr) -> Iterator[JaxprEqn]:
    """All equations, also those of what it calls."""
    yield from jaxpr.eqns
    for inner in subjaxprs(jaxpr):
        yield from _equations(inner)


def bytes_of(compiled: jax.stages.Compiled) -> int:
    """Bytes that a compiled step takes of each device, as XLA counts them; 0 if it does not."""
    memory: Any = compiled.memory_analysis()
    if memory is None:
        return 0
    return (
        memory.temp_size_in_bytes
        + memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
    )


def check_fits(of_a_device: int, mesh: jax.sharding.Mesh, batch_size: int) -> None:
    """Raises a `ValueError` if a step needs more than the memory there is.

    Args:
      of_a_device: bytes that the step takes of each device.
      mesh: the devices; those of a CPU share its memory.
      batch_size: the images of a step, for the sentence.
    """
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    needed = of_a_device * (len(mesh.local_devices) if on_cpu else 1)
    there = device_memory()
    if needed > there:
        what = "this machine" if on_cpu else "a device"
        raise ValueError(
            f"a step of {batch_size} images needs {needed / _GIB:,.0f} GiB or more, and {what} has "
            f"{there / _GIB:,.0f} GiB. Use a smaller training.batch_size, training.accumulate (the "
            "same batch in so many parts), more devices, a larger mesh.space, or model.remat."
        )
