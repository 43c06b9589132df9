"""The networks of the paper as tuples of pure functions, built from a config's `model` section."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from hpunet_jax.networks.hpunet import HPUNetConfig, hpunet
from hpunet_jax.networks.network import (
    Gaussian,
    Network,
    Sample,
    TrainOutputs,
    check_image_shape,
    check_unit_interval,
)

__all__ = [
    "Gaussian",
    "HPUNetConfig",
    "Network",
    "Sample",
    "TrainOutputs",
    "build_network",
    "check_image_shape",
    "check_unit_interval",
    "hpunet",
]

_NETWORKS = {"hpunet": (HPUNetConfig, hpunet)}


def build_network(model: Mapping[str, Any]) -> Network:
    """Builds the network that the `model` section of a config describes.

    Args:
      model: `name` ("hpunet") and the fields of that network's config dataclass.

    Returns:
      The network.

    Raises:
      ValueError: for an unknown name or field.
    """
    fields = {key: tuple(v) if isinstance(v, list) else v for key, v in dict(model).items()}
    name = fields.pop("name", None)
    if name not in _NETWORKS:
        raise ValueError(f"model.name must be one of {sorted(_NETWORKS)}, not {name!r}.")
    config_class, build = _NETWORKS[name]
    known = {field.name for field in dataclasses.fields(config_class)}
    if unknown := sorted(set(fields) - known):
        raise ValueError(
            f"unknown field model.{unknown[0]} for the network {name!r}; it knows "
            f"{', '.join(sorted(known))}."
        )
    return build(config_class(**fields))
