"""Which runs a sweep has: the values of `--set`, crossed, and what a config's `get_sweep` says.

A point of a sweep is {field: value} with dotted names. Its run lies in a folder named by it:
`kappa=0.02,seed=3`.
"""

import ast
import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections

from hpunet_jax.config import check_config, check_overrides, schema
from hpunet_jax.fields import Field

Point = dict[str, Any]

_RANGE = re.compile(r"(-?\d+):(-?\d+)(?::(-?\d+))?")
_LONGEST = 150  # file systems take 255 bytes, and some programs add to a name


def grid(settings: Sequence[str], config: ml_collections.ConfigDict) -> list[Point]:
    """All combinations of the values of some fields, the last field changing fastest.

    Args:
      settings: "field=value,value,..." each; of integers also "field=first:end" and
        "field=first:end:step", without `end`. Tuples are written (64,64),(128,128).
      config: the config whose fields they are.

    Returns:
      The points; one without any field if there are no settings.

    Raises:
      ValueError: for a field that the config lacks or that is given twice, and for values that the
        field cannot hold or that are given twice; names the field.
    """
    values: dict[str, list[Any]] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name or not text:
            raise ValueError(f"--set={setting} must be field=value,value, as training.seed=0,1,2.")
        if name in values:
            raise ValueError(f"--set gives {name} twice: give all its values at once.")
        check_overrides(config, {name: 1})
        field = schema(config.model.name).get(name)
        if field is None:
            raise ValueError(f"--set={setting}: {name} is a section; give one of its fields.")
        values[name] = _values(name, text, field)
    return [
        dict(zip(values, combination, strict=True))
        for combination in itertools.product(*values.values())
    ]


def crossed(points: Sequence[Point], others: Sequence[Point]) -> list[Point]:
    """Each point with each of the others, which win where both set a field."""
    return [{**one, **other} for one in points for other in others]


def configs_of(
    config: ml_collections.ConfigDict, points: Sequence[Point]
) -> dict[str, ml_collections.ConfigDict]:
    """The checked config of each point, by the names of their runs.

    Raises:
      ValueError: if one cannot be run, or two are the same run; the message names the point.
    """
    names = names_of(points)
    configs: dict[str, ml_collections.ConfigDict] = {}
    for name, point in zip(names, points, strict=True):
        if name in configs:
            raise ValueError(f"the sweep has {name} twice.")
        try:
            check_overrides(config, dict.fromkeys(point, 1))
            changed = config.copy_and_resolve_references()
            with changed.ignore_type():
                changed.update_from_flattened_dict(point)
            check_config(changed)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"the run {name}: {error}") from error
        configs[name] = changed.lock()
    return configs


def names_of(points: Sequence[Point]) -> list[str]:
    """The name of each point's run: what differs, with the last part of each field's name.

    Where two fields end alike, their whole names are taken.
    """
    fields = list(dict.fromkeys(field for point in points for field in point))
    last = [field.rpartition(".")[2] for field in fields]
    short = {f: end if last.count(end) == 1 else f for f, end in zip(fields, last, strict=True)}
    return [_name({short[field]: value for field, value in point.items()}) for point in points]


def flags_of(point: Mapping[str, Any]) -> list[str]:
    """A program's flags that set the fields of a point."""
    return [f"--config.{field}={value}" for field, value in point.items()]


def _name(fields: Mapping[str, Any]) -> str:
    name = ",".join(f"{field}={_spelt(value)}" for field, value in fields.items()) or "run"
    if len(name) <= _LONGEST:
        return name
    return f"{name[:_LONGEST]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _spelt(value: Any) -> str:
    if isinstance(value, tuple):
        return "x".join(map(_spelt, value)) or "none"
    # what shells, lists of flags or file systems treat as their own
    return "".join(c if c.isalnum() or c in "-._+" else f"%{ord(c):02x}" for c in str(value))


def _values(name: str, text: str, field: Field) -> list[Any]:
    match = _RANGE.fullmatch(text)
    if match and field.type is int and field.length is None:
        first, end, step = (int(number or 1) for number in match.groups())
        values: list[Any] = list(range(first, end, step)) if step else []
        if not values:
            raise ValueError(f"--set={name}={text} has no values: give first:end, as 0:5.")
    else:
        values = [_value(piece.strip(), field) for piece in _split(text)]
    for value in values:
        field.check(name, value)
    if again := [value for i, value in enumerate(values) if value in values[:i]]:
        raise ValueError(f"--set={name}={text} has {again[0]} twice.")
    return values


def _split(text: str) -> list[str]:
    """The pieces between commas that are not inside of brackets."""
    pieces, depth = [""], 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += character
    return pieces


def _value(text: str, field: Field) -> Any:
    """A value of the field's type if the text is one; else something that the field refuses."""
    if text == "None" and field.default is None:
        return None
    if field.type is str and field.length is None:
        return text
    if field.type is bool and text in ("true", "false"):
        return text == "true"
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    if isinstance(value, list):
        value = tuple(value)
    if field.type is float and type(value) is int:
        value = float(value)
    return value
