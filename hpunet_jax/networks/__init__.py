"""The networks of the paper as pure functions, built from a config's `model` section."""

import dataclasses
from typing import Any

from hpunet_jax.fields import Section
from hpunet_jax.networks.config import NetworkConfig
from hpunet_jax.networks.convolution import Constrain, unconstrained
from hpunet_jax.networks.hpunet import HPUNetConfig, hpunet
from hpunet_jax.networks.network import (
    Gaussian,
    Network,
    Sample,
    TrainOutputs,
    check_image_shape,
    check_unit_interval,
)
from hpunet_jax.networks.spunet import SPUNetConfig, spunet
from hpunet_jax.networks.unet import UNetConfig, unet

__all__ = [
    "Constrain",
    "Gaussian",
    "HPUNetConfig",
    "Network",
    "NetworkConfig",
    "SPUNetConfig",
    "Sample",
    "TrainOutputs",
    "UNetConfig",
    "build_network",
    "check_image_shape",
    "check_unit_interval",
    "hpunet",
    "spunet",
    "unet",
]

_NETWORKS: dict[str, tuple[Any, Any]] = {
    "hpunet": (HPUNetConfig, hpunet),
    "spunet": (SPUNetConfig, spunet),
    "unet": (UNetConfig, unet),
}


def build_network(
    model: Section, constrain: Constrain = unconstrained, platform: str = "cpu"
) -> Network:
    """Builds the network that the `model` section of a config describes.

    Args:
      model: `name` ("hpunet", "spunet" or "unet") and the fields of that network's config
        dataclass.
      constrain: how the features of each scale lie on devices, for training on several; it gets
        features [B, h, w, c] and returns them unchanged. See training/mesh.py.
      platform: that of the devices it will run on: "cpu", "gpu" or "tpu".

    Returns:
      The network. Networks of equal fields and `constrain` are equal, and hash alike.

    Raises:
      ValueError: for an unknown name or field.
    """
    fields: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in dict(model).items()
    }
    name = fields.pop("name", None)
    if fields.get("remat") is False:  # what configs had before scales were named
        fields["remat"] = ()
    if name not in _NETWORKS:
        raise ValueError(f"model.name must be one of {sorted(_NETWORKS)}, not {name!r}.")
    config_class, build = _NETWORKS[name]
    known = {field.name for field in dataclasses.fields(config_class)}
    if unknown := sorted(set(fields) - known):
        raise ValueError(
            f"unknown field model.{unknown[0]} for the network {name!r}; it knows "
            f"{', '.join(sorted(known))}."
        )
    return build(config_class(**fields).on(platform), constrain)
