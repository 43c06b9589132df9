"""What a field of a config may hold, as data: type, range, choices, length, default, meaning.

The fields of a dataclass are read off it by `fields_of`: names, types and defaults from the class,
meanings from its docstring, and ranges from the metadata of its fields, which `ranged` writes.
"""

import dataclasses
import inspect
import math
import re
import types
import typing
from collections.abc import Mapping
from typing import Any

import ml_collections
import numpy as np

Number = float | int

Section = Mapping[str, Any] | ml_collections.ConfigDict
"""A section of a config, or a whole one, to those who read it."""

_FLOAT32 = np.finfo(np.float32)


class _Required:
    """The default of a field that every config must have."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()

_NOUNS: dict[type, tuple[str, str]] = {
    int: ("an integer", "integers"),
    float: ("a number", "numbers"),
    bool: ("True or False", "bools"),
    str: ("text", "texts"),
}


@dataclasses.dataclass(frozen=True)
class Field:
    """The values that a field may hold, and what they mean.

    Numbers are compared as what they are computed with: a float as a float32, in which 1 - 1e-9
    is 1 and 1e-50 is 0.

    Attributes:
      type: int, float, bool or str. A float may be written as an integer; a bool is no number.
      meaning: what the field is for, as a phrase.
      default: the value of a config that lacks the field; `REQUIRED`: it must not lack it. Where
        it is None, the field may also be None.
      low: least number.
      high: greatest number.
      above: number that it must exceed.
      below: number that it must not reach.
      odd: whether it must be odd.
      besides: numbers outside of the range that have a meaning of their own.
      choices: the allowed values; () allows any.
      length: least and greatest number of entries of a tuple; None: a single value.
      single: whether a single value may stand for a tuple of equal ones.
      formerly: what older configs hold instead, and still passes.
    """

    type: type
    meaning: str = ""
    default: Any = REQUIRED
    low: Number = -math.inf
    high: Number = math.inf
    above: Number = -math.inf
    below: Number = math.inf
    odd: bool = False
    besides: tuple[Number, ...] = ()
    choices: tuple[Any, ...] = ()
    length: tuple[int, int] | None = None
    single: bool = False
    formerly: tuple[Any, ...] = ()

    @property
    def required(self) -> bool:
        """Whether every config must have the field."""
        return self.default is REQUIRED

    @property
    def expected(self) -> str:
        """What a value must be, as a phrase: 'an integer from 1 to 12'."""
        one, several = ("an odd integer", "odd integers") if self.odd else _NOUNS[self.type]
        if self.type is str and self.default != "":
            one = "text that is not empty"
        limits = self._limits()
        if self.length is None:
            text = self._one_of() if self.choices else one + limits
        else:
            least, greatest = self.length
            number = f"{least}" if least == greatest else f"{least} to {greatest}"
            each = limits and f", each{limits}"
            entries = f" of {self._one_of()}" if self.choices else f" {several}{each}"
            text = f"a tuple of {number}{entries}"
            if self.single:
                text = f"{one}{limits}, or {text}"
        return text if self.default is not None else f"{text}, or None"

    def allows(self, value: Any) -> bool:
        """Whether the field may hold this value."""
        if value is None:
            return self.default is None
        if any(type(value) is type(former) and value == former for former in self.formerly):
            return True
        if isinstance(value, tuple | list):
            least, greatest = self.length or (0, -1)
            return least <= len(value) <= greatest and all(map(self._allows_one, value))
        return (self.length is None or self.single) and self._allows_one(value)

    def check(self, name: str, value: Any) -> None:
        """Raises a `ValueError` that names the field unless it may hold this value."""
        if not self.allows(value):
            shown = f"{_shown(value)}{self._rounded(value)}"
            raise ValueError(f"{name} must be {self.expected}, not {shown}.")

    def _allows_one(self, value: Any) -> bool:
        kinds = (int, float) if self.type is float else self.type
        if not isinstance(value, kinds) or isinstance(value, bool) != (self.type is bool):
            return False
        if self.choices:
            return value in self.choices
        if self.type is str:
            return (bool(value.strip()) and "\0" not in value) or value == self.default
        if self.type is bool or value in self.besides:
            return True
        number = _as_float32(value) if self.type is float else value
        limits = (self.low, self.high, self.above, self.below)
        if self.type is float:
            limits = tuple(map(_as_float32, limits))
            if not math.isfinite(number):
                return False
        low, high, above, below = limits
        return low <= number <= high and above < number < below and not (self.odd and not value % 2)

    def _one_of(self) -> str:
        *others, last = map(repr, self.choices)
        return f"{', '.join(others)} or {last}" if others else last

    def _limits(self) -> str:
        low, high = _number(self.low), _number(self.high)
        parts = []
        if math.isfinite(self.above):
            parts.append(f" above {_number(self.above)}")
        if math.isfinite(self.low) and math.isfinite(self.high):
            parts.append(f" from {low} to {high}")
        elif math.isfinite(self.low):
            parts.append(f" of {low} or more")
        elif math.isfinite(self.high):
            parts.append(f" of at most {high}")
        if math.isfinite(self.below):
            parts.append(f" below {_number(self.below)}")
        text = (" and".join(parts)).replace(" and of at most", " and at most")
        return text + "".join(f" or {_number(number)}" for number in self.besides)

    def _rounded(self, value: Any) -> str:
        """A remark on numbers that are something else in float32."""
        if self.type is not float or not isinstance(value, int | float) or isinstance(value, bool):
            return ""
        rounded = _as_float32(value)
        if math.isnan(rounded) or rounded == value:
            return ""
        return f" (in float32 {rounded:g})" if rounded in (0.0, 1.0, math.inf, -math.inf) else ""


def _as_float32(value: Number) -> float:
    """A number as float32 arithmetic has it: infinite if too large, 0 if too small."""
    if isinstance(value, float) and math.isnan(value):
        return value
    if abs(value) > float(_FLOAT32.max):
        return math.inf if value > 0 else -math.inf
    return 0.0 if abs(value) < float(_FLOAT32.tiny) else float(np.float32(value))


def _number(value: Number) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _shown(value: Any) -> str:
    """A value as it is written in Python; long ones are cut."""
    if isinstance(value, Mapping):
        return "a section"
    try:
        text = repr(value)
    except ValueError:  # an integer of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:80]}..."


def ranged(default: Any = REQUIRED, **limits: Any) -> Any:
    """A field of a dataclass with a range: `rotation: float = ranged(0.0, low=0, high=180)`.

    Args:
      default: its default; `REQUIRED`: none.
      **limits: arguments of `Field` that the annotation does not tell.
    """
    if default is REQUIRED:
        return dataclasses.field(metadata=limits)
    return dataclasses.field(default=default, metadata=limits)


def fields_of(
    cls: type, limits: Mapping[str, Mapping[str, Any]] = types.MappingProxyType({})
) -> dict[str, Field]:
    """The fields of a dataclass by name.

    Args:
      cls: the dataclass. Annotations are those of single values, tuples, or a union of both:
        `int`, `tuple[int, ...]`, `float | tuple[float, float]`.
      limits: arguments of `Field`, for fields that are not `ranged`.

    Raises:
      TypeError: if it is no dataclass.
    """
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"{cls.__name__} is no dataclass.")
    meanings: dict[str, str] = {}
    annotations: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        meanings |= _meanings(base.__doc__ or "")
        annotations |= inspect.get_annotations(base, eval_str=True)
    return {
        field.name: Field(
            meaning=meanings.get(field.name, ""),
            default=REQUIRED if field.default is dataclasses.MISSING else field.default,
            **{**_shape(annotations[field.name]), **field.metadata, **limits.get(field.name, {})},
        )
        for field in dataclasses.fields(cls)
    }


def _shape(annotation: Any) -> dict[str, Any]:
    """Type and length of what an annotation allows."""
    options = typing.get_args(annotation) or (annotation,)
    if typing.get_origin(annotation) is tuple:
        length = (0, 64) if options[-1] is ... else (len(options), len(options))
        return {**_shape(options[0]), "length": length}
    tuples = [option for option in options if typing.get_origin(option) is tuple]
    single = [option for option in options if option not in tuples]
    shape = _shape(tuples[0]) | {"single": True} if tuples else {}
    return shape | {"type": float if float in single else single[0]}  # an integer is a number, too


def _meanings(docstring: str) -> dict[str, str]:
    """The entries under "Attributes:" of a class's docstring."""
    _, _, attributes = inspect.cleandoc(docstring).partition("Attributes:\n")
    entries = re.findall(r"^  (\w+): (.*(?:\n    .*)*)", attributes, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text).rstrip(".") for name, text in entries}
