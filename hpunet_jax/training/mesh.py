"""The device mesh and how arrays lie on it; one device is a mesh of one."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def build_mesh(data: int = -1, space: int = 1, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Arranges devices in a grid with the axes "data" and "space".

    The batch is split over "data", the rows of its images over "space".

    Args:
      data: number of devices along "data"; -1 takes what `space` leaves.
      space: number of devices along "space".
      devices: the devices; None: all there are.

    Returns:
      The mesh.

    Raises:
      ValueError: unless the grid uses exactly the devices.
    """
    devices = jax.devices() if devices is None else devices
    if data == -1:
        data = len(devices) // max(space, 1)
    if data < 1 or space < 1 or data * space != len(devices):
        raise ValueError(
            f"mesh.data={data} x mesh.space={space} does not make {len(devices)} devices; their "
            "product must be the number of devices (mesh.data=-1 takes what is left)."
        )
    return Mesh(np.asarray(devices).reshape(data, space), ("data", "space"))


def replicated(mesh: Mesh) -> NamedSharding:
    """The same array on every device: parameters, optimizer and objective state."""
    return NamedSharding(mesh, PartitionSpec())


def by_image(mesh: Mesh) -> NamedSharding:
    """The first axis, images, split over "data"."""
    return NamedSharding(mesh, PartitionSpec("data"))


def by_image_and_row(mesh: Mesh) -> NamedSharding:
    """The first axis, images, split over "data", the second, rows, over "space"."""
    return NamedSharding(mesh, PartitionSpec("data", "space"))


def check_batch(mesh: Mesh, batch_size: int) -> None:
    """Raises a `ValueError` unless the batch can be split evenly over "data"."""
    if batch_size % mesh.shape["data"]:
        raise ValueError(
            f"training.batch_size={batch_size} does not divide evenly over "
            f"mesh.data={mesh.shape['data']} devices."
        )


def to_devices(mesh: Mesh, examples: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Puts this process's rows of a batch on its devices, split by image."""
    sharding = by_image(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, array)
        for name, array in examples.items()
    }
