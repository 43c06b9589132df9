"""Keeping parts of the network as they are, to fine-tune the rest."""

from collections.abc import Collection, Iterable, Sequence

import jax
import jax.numpy as jnp

from hpunet_jax.training.state import Trainable


def frozen_modules(parts: Sequence[str], modules: Iterable[str]) -> frozenset[str]:
    """The modules of a network that `training.freeze` means.

    Args:
      parts: each a name on the modules' paths, or its ending after an underscore: "encoder" means
        the encoders of prior and posterior, "prior_encoder" one of them, "prior_encoder/scale_0"
        a scale of it.
      modules: the names of all modules, such as "prior_encoder/scale_0/block_0/conv_0".

    Returns:
      The names of the frozen modules.

    Raises:
      ValueError: for a part that means no module, or if nothing is left to train.
    """
    modules = list(modules)
    frozen: set[str] = set()
    for part in parts:
        found = {module for module in modules if _is_in(part, module)}
        if not found:
            names = ", ".join(dict.fromkeys(module.split("/")[0] for module in modules))
            raise ValueError(
                f"training.freeze has {part!r}, but no part of the network has this name: expected "
                f"names such as {names}, or 'encoder' for all encoders."
            )
        frozen |= found
    if frozen == set(modules):
        raise ValueError(f"training.freeze={tuple(parts)} leaves nothing of the network to train.")
    return frozenset(frozen)


def without_frozen(gradients: Trainable, frozen: Collection[str]) -> Trainable:
    """The gradients with zeros for frozen modules, which no optimizer of ours moves then."""
    network = {
        module: jax.tree.map(jnp.zeros_like, of_module) if module in frozen else of_module
        for module, of_module in gradients.network.items()
    }
    return gradients._replace(network=network)


def _is_in(part: str, module: str) -> bool:
    inside, path = f"/{part.strip('/')}/", f"/{module}/"
    return inside in path or f"_{inside[1:]}" in path
