"""What a run tells of itself as it starts: the network, and what a step costs."""

import collections

import jax
import ml_collections

from hpunet_jax.config import differences, value_of
from hpunet_jax.networks import Network
from hpunet_jax.networks.receptive_field import receptive_field


def network_summary(network: Network, config: ml_collections.ConfigDict) -> str:
    """Number of parameters, all and of each part, and the receptive field.

    Args:
      network: the network.
      config: the whole config.
    """
    parts: dict[str, int] = collections.Counter()
    for module, parameters in network.param_shapes().items():
        parts[module.split("/")[0]] += sum(leaf.size for leaf in parameters.values())
    of_parts = ", ".join(f"{part} {size:,}" for part, size in parts.items())
    height, width = config.data.crop
    side = receptive_field(network.config)
    whole = ", more than the crop has" if side >= 2 * max(height, width) else ""
    return (
        f"{config.model.name}: {sum(parts.values()):,} parameters ({of_parts})\n"
        f"receptive field: {side:,}x{side:,} pixels{whole}; crops of {height}x{width}"
    )


def step_summary(compiled: jax.stages.Compiled, config: ml_collections.ConfigDict) -> str:
    """What a step costs a device, as XLA counts it; loops count once."""
    counted = compiled.cost_analysis() or {}
    flops, moved = counted.get("flops", 0.0), counted.get("bytes accessed", 0.0)
    parts = value_of(config, "training.accumulate")
    images = f"{config.training.batch_size} images"
    if parts > 1:
        images += f" in {parts} micro-batches, one of which is counted"
    memory = compiled.memory_analysis()
    temporary = f", {memory.temp_size_in_bytes / 1e9:,.2f} GB of temporaries" if memory else ""
    return (
        f"a step of {images}: {flops / 1e9:,.1f} GFLOP, {moved / 1e9:,.2f} GB read and written"
        f"{temporary} on each device (XLA's count)"
    )


def differences_summary(
    name: str, parent: ml_collections.ConfigDict, config: ml_collections.ConfigDict
) -> str:
    """The fields in which a config differs from the one that it is derived from.

    Args:
      name: the parent's name.
      parent: the parent.
      config: the config.
    """
    changed = differences(parent, config)
    if not changed:
        return f"the same as {name}"
    width = max(map(len, changed))
    lines = [f"  {field.ljust(width)}  {old} -> {new}" for field, (old, new) in changed.items()]
    return "\n".join([f"differs from {name} in {len(changed)} field(s):", *lines])
