"""Reading pickles of NumPy arrays without running anything that they name.

A pickle may call any function of any module. Here every name that it looks up is answered by
something of this module, or refused: arrays and dtypes are only noted down while the pickle is
read, and made afterwards from their bytes. Names are those of NumPy 1 (`numpy.core`) and 2
(`numpy._core`), of Python 2 and 3.
"""

import math
import os
import pathlib
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

_DEEPEST = 16  # containers in containers
_PLAIN = re.compile(r"[<>|=]?(b1|\?|[iu][1248]|f[248]|[SU]\d{1,6})")


def read_array_pickle(path: str | os.PathLike[str]) -> Any:
    """Reads a pickle of NumPy arrays of numbers or text, in dicts, lists, tuples and sets.

    Args:
      path: the file.

    Returns:
      What it holds. Arrays may be read-only.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it holds anything else, which is named and not made, or is damaged.
    """
    path = pathlib.Path(path)
    try:
        with path.open("rb") as file:
            return _made(_Unpickler(file, encoding="latin1").load())
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} does not exist.") from error
    except PermissionError as error:
        raise PermissionError(f"{path} may not be read by this user: change its rights.") from error
    except _RefusedError as error:
        raise ValueError(
            f"{path} holds {error}: only NumPy arrays of numbers and text in dicts, lists, tuples "
            "and sets are read, since a pickle can run code. Nothing of it was run."
        ) from error
    except (
        pickle.UnpicklingError,
        EOFError,
        OverflowError,
        MemoryError,
        *_MAKES_NO_SENSE,
    ) as error:
        raise ValueError(
            f"{path} is damaged, or no pickle ({type(error).__name__}: {error})."
        ) from error


_MAKES_NO_SENSE = (ValueError, TypeError, IndexError, KeyError, AttributeError, RecursionError)


class _RefusedError(Exception):
    """The pickle holds something else than arrays; the message says what."""


class _Noted:
    """What a name in the pickle stands for; it has nothing that a pickle could change."""

    __slots__ = ()

    def __setstate__(self, state: object) -> NoReturn:
        raise _RefusedError("a function that is given a state")


class _Function(_Noted):
    """Makes something harmless of its arguments."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]):
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)


class _ArrayType(_Noted):
    """`numpy.ndarray`, which arrays name as their type; it is never called."""

    __slots__ = ()


class _Dtype:
    """A dtype: its text, and later its order of bytes."""

    __slots__ = ("_dtype",)

    def __init__(self, text: object, *_: object):
        text = _text(text)
        if not _PLAIN.fullmatch(text):
            raise _RefusedError(f"an array of dtype {text!r}")
        self._dtype = np.dtype(text)

    def __setstate__(self, state: tuple) -> None:
        if len(state) < 5 or state[2:5] != (None, None, None):
            raise _RefusedError("an array of a dtype with fields")
        order = _text(state[1])
        if order in ("<", ">"):
            self._dtype = self._dtype.newbyteorder(order)

    def get(self) -> np.dtype:
        return self._dtype


class _Array:
    """An array: its shape, dtype and bytes."""

    __slots__ = ("_parts",)

    def __init__(self, array_type: object, *_: object):
        if not isinstance(array_type, _ArrayType):
            raise _RefusedError("an array of a type of its own")
        self._parts: tuple | None = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        self._parts = shape, dtype, bool(fortran), data

    def get(self) -> np.ndarray:
        if self._parts is None:
            raise _RefusedError("an array without values")
        return _from_bytes(*self._parts)


def _from_bytes(shape: object, dtype: object, fortran: bool, data: object) -> np.ndarray:
    if not isinstance(dtype, _Dtype) or not isinstance(shape, tuple):
        raise _RefusedError("an array whose dtype or shape is none")
    if isinstance(data, str):  # of Python 2
        data = data.encode("latin1")
    if not isinstance(data, bytes | bytearray):
        raise _RefusedError("an array of Python objects")
    lengths = [length for length in shape if isinstance(length, int) and length >= 0]
    if len(lengths) != len(shape):
        raise ValueError(f"an array has the shape {shape}")
    kind = dtype.get()
    flat = np.frombuffer(data, kind) if data else np.zeros(0, kind)
    if flat.size != math.prod(lengths):
        raise ValueError(f"an array of the shape {shape} has {flat.size} values")
    return flat.reshape(lengths, order="F" if fortran else "C")


def _frombuffer(data: object, dtype: object, shape: object, order: str) -> _Array:
    """Arrays in pickles of protocol 5."""
    array = _Array(_ArrayType())
    array.__setstate__((1, shape, dtype, order == "F", data))
    return array


def _scalar(dtype: object, data: object) -> Any:
    return _from_bytes((), dtype, False, data).item()


def _latin1(text: str, encoding: str) -> bytes:
    """`_codecs.encode`, by which pickles of old protocols hold bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise _RefusedError(f"text to be encoded as {encoding!r}")
    return text.encode("latin1")


def _no_bytes(*arguments: object) -> bytes:
    """`bytes()`, by which old protocols hold what is empty."""
    if arguments:
        raise _RefusedError("bytes that are to be made of something")
    return b""


def _text(value: object) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")
_NAMES: dict[tuple[str, str], Callable[[], object]] = {
    ("numpy", "ndarray"): _ArrayType,
    ("numpy", "dtype"): lambda: _Function(_Dtype),
    ("_codecs", "encode"): lambda: _Function(_latin1),
    ("collections", "OrderedDict"): lambda: _Function(OrderedDict),
    **{(module, "_reconstruct"): lambda: _Function(_Array) for module in _MULTIARRAY},
    **{(module, "scalar"): lambda: _Function(_scalar) for module in _MULTIARRAY},
    **{(module, "_frombuffer"): lambda: _Function(_frombuffer) for module in _NUMERIC},
    **{(m, "set"): lambda: _Function(set) for m in ("builtins", "__builtin__")},
    **{(m, "bytes"): lambda: _Function(_no_bytes) for m in ("builtins", "__builtin__")},
    **{(m, "frozenset"): lambda: _Function(frozenset) for m in ("builtins", "__builtin__")},
}


class _Unpickler(pickle.Unpickler):
    """Looks up nothing but the names above."""

    def find_class(self, module: str, name: str) -> object:
        """What stands for a name."""
        if (make := _NAMES.get((module, name))) is None:
            raise _RefusedError(f"{module}.{name}")
        return make()

    def persistent_load(self, pid: object) -> NoReturn:
        """Objects kept elsewhere."""
        raise _RefusedError(f"an object kept elsewhere ({pid!r})")


def _made(value: Any, depth: int = 0) -> Any:
    """The value with its arrays; containers are made anew."""
    if depth > _DEEPEST:
        raise _RefusedError(f"containers nested more than {_DEEPEST} deep")
    if isinstance(value, _Array):
        return value.get()
    if isinstance(value, _Dtype):
        return value.get()
    if isinstance(value, _Noted):
        raise _RefusedError("a function")
    if isinstance(value, dict):
        return {_made(k, depth + 1): _made(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(_made(item, depth + 1) for item in value)
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | bytearray):
        return value
    raise _RefusedError(f"a {type(value).__name__}")
