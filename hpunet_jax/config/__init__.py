"""Configs: which fields there are, what they may hold, and their way to JSON and back.

`schema.py` holds every field with its type, range, default and meaning; `check_config` refuses what
does not fit it, or does not fit together, before anything starts. All programs that take --config
check it as they read their flags. To add a field, add its line to the table in `schema.py`: with a
default, configs written before still pass, and the code that uses the field asks for
`value_of(config, "training.new_field")`, which knows the default. `fields_reference` lists them all
for the documents.
"""

from hpunet_jax.config.check import (
    check_config,
    check_overrides,
    differences,
    shown_differences,
    value_of,
)
from hpunet_jax.config.effects import NO_RESULTS, NO_SCORES, NO_WEIGHTS, PLACES
from hpunet_jax.config.files import load_config, load_sweep
from hpunet_jax.config.parent import Parent, parent_config
from hpunet_jax.config.reference import FieldDescription, fields_reference
from hpunet_jax.config.schema import schema
from hpunet_jax.config.serialization import flatten, from_json, to_json, without_places

__all__ = [
    "NO_RESULTS",
    "NO_SCORES",
    "NO_WEIGHTS",
    "PLACES",
    "FieldDescription",
    "Parent",
    "check_config",
    "check_overrides",
    "differences",
    "fields_reference",
    "flatten",
    "from_json",
    "load_config",
    "load_sweep",
    "parent_config",
    "schema",
    "shown_differences",
    "to_json",
    "value_of",
    "without_places",
]
