"""Configs as data: to JSON and back, and as a flat mapping of dotted names."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import ml_collections

from hpunet_jax.fields import Section


def to_json(config: ml_collections.ConfigDict) -> str:
    """The config as indented JSON."""
    return json.dumps(json.loads(config.to_json()), indent=2, sort_keys=True)


def from_json(text: str) -> ml_collections.ConfigDict:
    """Reads what `to_json` wrote; lists come back as the tuples they were.

    Raises:
      ValueError: if the text is not a JSON object.
    """
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise ValueError("a config must be a JSON object.")
    return ml_collections.ConfigDict(_lists_to_tuples(fields)).lock()


def without_places(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """A copy to be given away: it does not say where files lay on the machine that trained.

    The data's folder becomes that of the shipped configs; of what training started from the last
    part of the path is left.
    """
    config = config.copy_and_resolve_references()
    with config.unlocked():
        if "dir" in config.get("data", {}):
            config.data.dir = "datasets"
        if "cache_dir" in config.get("data", {}):
            config.data.cache_dir = ""
        if config.get("training", {}).get("init_from"):
            config.training.init_from = pathlib.PurePath(config.training.init_from).name
    return config


def flatten(config: Section, prefix: str = "") -> dict[str, Any]:
    """All fields of a nested config by their dotted names."""
    flat = {}
    for name, value in config.items():
        if isinstance(value, Mapping | ml_collections.ConfigDict):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _lists_to_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _lists_to_tuples(item) for name, item in value.items()}
    if isinstance(value, list):
        return tuple(_lists_to_tuples(item) for item in value)
    return value
