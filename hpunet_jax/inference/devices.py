"""All devices of a process at once: images, or the samples of one, are split over them.

A model computes where its parameters lie: `load(..., device="all")` puts a copy on each device of
this process. Images whose number the devices divide are split among them. Otherwise each image is
repeated, and its samples are split among the copies. The noise of a sample depends on the seed, the
image and the sample's number alone, and is therefore the same on any number of devices.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

_AXIS = "device"


def on_all(devices: Sequence[jax.Device]) -> NamedSharding:
    """A copy on each of some devices: how the parameters of a model lie that uses all of them."""
    return NamedSharding(Mesh(list(devices), (_AXIS,)), PartitionSpec())


def mesh_of(params: Any) -> Mesh | None:
    """The devices on which a model computes; None if it is one."""
    leaves = jax.tree.leaves(params)
    sharding = getattr(leaves[0], "sharding", None) if leaves else None
    if isinstance(sharding, NamedSharding) and sharding.mesh.size > 1:
        assert isinstance(sharding.mesh, Mesh)
        return sharding.mesh
    return None


def copies(mesh: Mesh | None, num_images: int) -> int:
    """How often each image is to be there for the devices to divide their number."""
    return 1 if mesh is None else mesh.size // math.gcd(mesh.size, num_images)


def split(mesh: Mesh | None, arrays: Any) -> Any:
    """Puts the first axis of arrays on the devices, if they divide it; not inside of programs."""
    if mesh is None or any(len(array) % mesh.size for array in jax.tree.leaves(arrays)):
        return arrays
    return jax.device_put(arrays, NamedSharding(mesh, PartitionSpec(_AXIS)))


def repeat(mesh: Mesh | None, arrays: Any, times: int) -> Any:
    """Copies along the first axis [B] -> [B * times], split over the devices; inside programs."""
    if times == 1 or mesh is None:
        return arrays
    lies = NamedSharding(mesh, PartitionSpec(_AXIS))

    def one(array: jax.Array) -> jax.Array:
        return jax.lax.with_sharding_constraint(jnp.repeat(array, times, axis=0), lies)

    return jax.tree.map(one, arrays)


def numbers(step: jax.Array, num_images: int, times: int) -> jax.Array:
    """The number of the sample [B * times] that each copy draws in a step of a loop."""
    return step * times + jnp.tile(jnp.arange(times), num_images)


def added(sums: jax.Array, num_images: int) -> jax.Array:
    """The sums of images [B, ...], of those of their copies [B * times, ...]."""
    return sums.reshape(num_images, -1, *sums.shape[1:]).sum(axis=1)


def in_order(samples: jax.Array, times: int) -> jax.Array:
    """Samples of copies [steps, B * times, ...] as samples of images [steps * times, B, ...]."""
    steps, images = samples.shape[0], samples.shape[1] // times
    apart = samples.reshape(steps, images, times, *samples.shape[2:])
    return jnp.moveaxis(apart, 2, 1).reshape(steps * times, images, *samples.shape[2:])
