"""The list of all fields of a config, for the documents."""

from typing import NamedTuple

from hpunet_jax.config.schema import NETWORKS, schema


class FieldDescription(NamedTuple):
    """One field of a config, in words.

    Attributes:
      name: its dotted name, such as "training.steps".
      allowed: the values it may hold: "an integer from 1 to 2147483647".
      default: the value of a config that lacks it, as in Python; "" if no config may lack it.
      meaning: what it is for.
      networks: the networks that have it.
    """

    name: str
    allowed: str
    default: str
    meaning: str
    networks: tuple[str, ...]


def fields_reference() -> list[FieldDescription]:
    """All fields of all networks' configs, in the order of a config file."""
    schemas = {network: schema(network) for network in NETWORKS}
    names = dict.fromkeys(name for fields in schemas.values() for name in fields)
    sections = list(dict.fromkeys(name.split(".")[0] for name in names))
    described = []
    for name in sorted(names, key=lambda name: sections.index(name.split(".")[0])):
        networks = tuple(network for network in NETWORKS if name in schemas[network])
        field = schemas[networks[0]][name]
        default = "" if field.required else repr(field.default)
        described.append(FieldDescription(name, field.expected, default, field.meaning, networks))
    return described
