"""Checks of the arguments that users give to public functions: one sentence that names them.

A function that checks its arguments so is decorated with `typing.no_type_check`, since the tests
check annotations at run time and would refuse before it, with a message of their own.

A bool is no integer and no number here, while NumPy's integers and floats are as good as Python's.
"""

import numbers
import sys
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

GREATEST_SEED = 2**31 - 1
"""Of every seed: what a random key of JAX and a generator of NumPy both take."""


def check_integer(
    name: str, value: Any, least: int | None = None, greatest: int | None = None, odd: bool = False
) -> int:
    """An integer argument as an int.

    Args:
      name: the argument's name.
      value: what was given.
      least: the least value allowed; None: any.
      greatest: the greatest value allowed; None: any.
      odd: whether it must be odd.

    Returns:
      The integer.

    Raises:
      ValueError: for anything else: bools, floats (whole ones, too), arrays, text.
    """
    value = _of_python(value)
    wrong = not _is(value, numbers.Integral) or _outside(value, least, greatest)
    if wrong or (odd and value % 2 == 0):
        kind = "an odd integer" if odd else "an integer"
        raise ValueError(f"{name} must be {kind}{_range(least, greatest)}, not {shown(value)}.")
    return int(value)


def check_seed(value: Any, name: str = "seed") -> int:
    """A seed, an integer in [0, `GREATEST_SEED`]; raises a `ValueError` for anything else."""
    return check_integer(name, value, 0, GREATEST_SEED)


def check_number(
    name: str, value: Any, least: float | int | None = None, greatest: float | int | None = None
) -> float:
    """A finite number argument as a float; as `check_integer`, but integers and floats pass."""
    value = _of_python(value)
    finite = _is(value, numbers.Real) and abs(value) <= sys.float_info.max
    if not finite or _outside(value, least, greatest):
        raise ValueError(f"{name} must be a number{_range(least, greatest)}, not {shown(value)}.")
    return float(value)


def check_flag(name: str, value: Any) -> bool:
    """A bool argument; raises a `ValueError` for anything but True and False."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, not {shown(value)}.")
    return bool(value)


def check_choice(name: str, value: Any, choices: Collection[str]) -> str:
    """A text out of several; raises a `ValueError` for anything else."""
    if not isinstance(value, str) or value not in choices:
        known = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {known}, not {shown(value)}.")
    return value


def check_subset(name: str, value: Any, size: int, what: str) -> tuple[int, ...]:
    """Several different integers of 0 to size - 1, such as latent scales.

    Args:
      name: the argument's name.
      value: what was given: a list, a tuple, a range, a set or an array [n] of integers.
      size: how many there are to choose from.
      what: what they are, as a noun.

    Returns:
      The integers, in the order given.

    Raises:
      ValueError: for anything else, such as text, a single integer, duplicates.
    """
    iterable = isinstance(value, Sequence | set | frozenset | np.ndarray)
    if not iterable or isinstance(value, str | bytes) or getattr(value, "ndim", 1) != 1:
        raise ValueError(f"{name} must be a list of integers, not {shown(value)}.")
    items = list(value)
    for item in items:
        if not _is(item, numbers.Integral):
            raise ValueError(f"{name} must hold integers, not {shown(item)}.")
        if not size:
            raise ValueError(f"{name} must be empty: there are no {what}s here.")
        if not 0 <= item < size:
            raise ValueError(f"{name} has {what} {item}, but there are only 0 to {size - 1}.")
    integers = tuple(int(item) for item in items)
    for item in integers:
        if integers.count(item) > 1:
            raise ValueError(f"{name} must name each {what} once, but has {item} twice.")
    return integers


def check_array(
    name: str, value: Any, kinds: str, shape: Sequence[int | None], axes: str
) -> np.ndarray:
    """An array argument.

    Args:
      name: the argument's name.
      value: what was given: an array of NumPy or JAX, or nested lists of numbers.
      kinds: NumPy's letters of the kinds of numbers allowed: "b" bools, "iu" integers, "f" floats.
      shape: the shape it must have; None where a length may be any.
      axes: the shape in words, such as "[B, H, W]".

    Returns:
      The array, of the type it has.

    Raises:
      ValueError: for nested lists of unequal lengths, objects, text, numbers of another kind, or
        another shape. Values are not looked at.
    """
    array = to_array(name, value)
    fits = array.ndim == len(shape) and all(
        wanted in (None, length) for wanted, length in zip(shape, array.shape, strict=True)
    )
    if not fits or (array.dtype.kind not in kinds and array.size):
        expected, meaning = (axes, "") if None in shape else (tuple(shape), f": {axes}")
        raise ValueError(
            f"{name} must be {_kinds(kinds)} of shape {expected}, not {array.dtype} of shape "
            f"{array.shape}{meaning}."
        )
    return array


def to_array(name: str, value: Any) -> np.ndarray:
    """An array of NumPy; raises a `ValueError` for nested lists of unequal lengths."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"{name} must be an array, not nested lists of unequal lengths ({error})."
        ) from error
    if array.dtype.name == "bfloat16":  # a kind of its own to NumPy
        return array.astype(np.float32)
    return array


def shown(value: Any) -> str:
    """A value for a message: short, and with its type where the value does not tell it."""
    if isinstance(value, np.ndarray) or hasattr(value, "aval"):
        return f"an array of {value.dtype} of shape {tuple(value.shape)}"
    text = repr(_of_python(value))
    return text if len(text) <= 60 else f"{text[:50]}… ({type(value).__name__})"


def _of_python(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool | np.bool_)


def _outside(value: Any, least: float | int | None, greatest: float | int | None) -> bool:
    return (least is not None and value < least) or (greatest is not None and value > greatest)


def _range(least: float | int | None, greatest: float | int | None) -> str:
    if greatest is None:
        return "" if least is None else f" of {least} or more"
    return f" of at most {greatest}" if least is None else f" from {least} to {greatest}"


def _kinds(kinds: str) -> str:
    names = {"i": "integers", "u": "integers", "b": "bools", "f": "floating point numbers"}
    return " or ".join(dict.fromkeys(names[kind] for kind in names if kind in kinds))
