"""The device mesh and how arrays lie on it; one device is a mesh of one (Appendix D.3).

The paper trains on Cityscapes with "spatial batch partitioning": the devices form a grid, whose
axis "data" splits the batch and whose axis "space" splits the rows of its images. The compiler
exchanges what convolutions need beyond the seams. At the U-Net's coarse levels there is little to
split along the rows; they, and the augmentation, are split by image over both axes instead.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

# Smaller arrays are not worth a message each: of 20.6 M parameters of the LIDC network, those in
# larger ones are 98 %.
MIN_SPLIT = 2**14


def build_mesh(data: int = -1, space: int = 1, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Arranges devices in a grid with the axes "data" and "space".

    The devices of a process follow each other, so that the images which it loads lie on its own
    devices.

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
    devices = sorted(devices, key=lambda device: (device.process_index, device.id))
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


def over_data(mesh: Mesh, shape: Sequence[int]) -> NamedSharding:
    """An array of this shape split over "data" along its longest axis that divides; else whole.

    What an optimizer keeps beside the parameters can lie so (ZeRO, stage 1): each device updates
    its part, and the updates are gathered. Arrays of fewer than `MIN_SPLIT` elements stay whole.
    """
    parts = mesh.shape["data"]
    axes = [axis for axis, size in enumerate(shape) if size and size % parts == 0]
    if parts == 1 or not axes or math.prod(shape) < MIN_SPLIT:
        return replicated(mesh)
    longest = max(axes, key=lambda axis: shape[axis])
    return NamedSharding(mesh, PartitionSpec(*[None] * longest, "data"))


def by_image(mesh: Mesh) -> NamedSharding:
    """The first axis, images, split over all devices."""
    return NamedSharding(mesh, PartitionSpec(("data", "space")))


def by_image_and_row(mesh: Mesh) -> NamedSharding:
    """The first axis, images, split over "data", the second, rows, over "space"."""
    return NamedSharding(mesh, PartitionSpec("data", "space"))


@dataclasses.dataclass(frozen=True)
class ByLevel:
    """How the features [B, h, w, c] of a U-Net's levels lie on a mesh: a `networks.Constrain`.

    Equal ones are equal, so that networks built twice of one config and mesh are compiled once.

    Attributes:
      mesh: the device mesh.
      min_rows: features with fewer rows are split by image over all devices, others by image and
        row.
    """

    mesh: Mesh
    min_rows: int

    def __call__(self, features: Float[Array, "B h w c"]) -> Float[Array, "B h w c"]:
        """The same features, as a constraint to the compiler."""
        by_row = is_split_by_row(features.shape[1], self.min_rows)
        layout = by_image_and_row(self.mesh) if by_row else by_image(self.mesh)
        return jax.lax.with_sharding_constraint(features, layout)


def is_split_by_row(rows: int, min_rows: int) -> bool:
    """Whether `ByLevel` splits features with so many rows by image and row, not by image alone."""
    return rows >= min_rows


def check_batch(mesh: Mesh, batch_size: int, parts: int = 1) -> None:
    """Raises a `ValueError` unless each micro-batch can be split evenly over all devices.

    Args:
      mesh: the device mesh.
      batch_size: images in a batch.
      parts: micro-batches of a batch.
    """
    if batch_size % (mesh.size * parts) and not batch_size % parts and parts > 1:
        raise ValueError(
            f"training.accumulate={parts} makes micro-batches of {batch_size // parts} images, "
            f"which do not divide evenly over {mesh.size} devices: choose fewer micro-batches, or "
            f"a training.batch_size that is a multiple of {mesh.size * parts}."
        )
    if batch_size % mesh.size:
        raise ValueError(
            f"training.batch_size={batch_size} does not divide evenly over mesh.data="
            f"{mesh.shape['data']} x mesh.space={mesh.shape['space']} devices; it must, since the "
            "augmentation and the coarse levels are split by image over all of them."
        )


def check_rows(mesh: Mesh, height: int, size_multiple: int, min_rows: int) -> None:
    """Raises a `ValueError` unless the rows of each level that is split divide over "space".

    Args:
      mesh: the device mesh.
      height: rows of an image.
      size_multiple: pixels along an axis that one pixel of the coarsest level stands for.
      min_rows: as for `ByLevel`.
    """
    space = mesh.shape["space"]
    for rows in rows_of_levels(height, size_multiple):
        if rows % space and (is_split_by_row(rows, min_rows) or rows == height):
            raise ValueError(
                f"images of {height} rows (data.crop) cannot be split over mesh.space={space} "
                f"devices: their level of {rows} rows does not divide evenly. Choose a smaller "
                "mesh.space, or a larger mesh.min_rows, below which levels are split by image."
            )


def rows_of_levels(height: int, size_multiple: int) -> list[int]:
    """The rows of each level of a U-Net, the finest first; for the arguments of `check_rows`."""
    return [height >> level for level in range(size_multiple.bit_length())]


def to_devices(mesh: Mesh, examples: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Puts this process's rows of a batch on its devices, split by image."""
    sharding = by_image(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, array)
        for name, array in examples.items()
    }
