"""A trained model as one small file: parameters and config, without what only training needs.

The file is a NumPy .npz archive: arrays `<module>/<parameter>` in float32 or float16; `config`, the
config that made them, as JSON; maybe `calibration/<array>`. Reading it runs no code of the file.
"""

import io
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import ml_collections
import numpy as np

from hpunet_jax.buckets import AnyPath, place
from hpunet_jax.checkpoints.directory import read_config
from hpunet_jax.checkpoints.storage import CheckpointError
from hpunet_jax.config import to_json
from hpunet_jax.files import is_file, read_bytes, write_aside

_CONFIG = "config"
_CALIBRATION = "calibration/"  # no module of a network has this name

Params = dict[str, dict[str, np.ndarray]]


def write_model(
    path: str | os.PathLike[str],
    params: Any,
    config: ml_collections.ConfigDict,
    dtype: str = "float32",
    calibration: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Writes a model to one file.

    Args:
      path: the file, whose name ends in ".npz".
      params: the network's parameters, {module: {parameter: array}}.
      config: the config that made them.
      dtype: "float32"; or "float16", half as large, with weights rounded to 11 bits.
      calibration: arrays of a calibration, by name.

    Raises:
      ValueError: if float16 cannot hold a weight.
    """
    arrays: dict[str, Any] = {
        f"{module}/{name}": _rounded(f"{module}/{name}", value, dtype)
        for module, parameters in params.items()
        for name, value in parameters.items()
    }
    arrays |= {_CALIBRATION + name: value for name, value in (calibration or {}).items()}
    with write_aside(path) as aside:
        np.savez_compressed(aside, **arrays, **{_CONFIG: np.array(to_json(config))})


def _rounded(name: str, value: Any, dtype: str) -> np.ndarray:
    value = np.asarray(value, np.float32)
    if dtype == "float32":
        return value
    if np.abs(value).max(initial=0) > np.finfo(np.float16).max:
        raise ValueError(f"{name} has weights that float16 cannot hold: write float32.")
    return value.astype(np.float16)


def read_model(path: str | os.PathLike[str]) -> tuple[Params, ml_collections.ConfigDict]:
    """Reads what `write_model` wrote.

    Returns:
      The parameters, {module: {parameter: float32 array}}, and the config.

    Raises:
      CheckpointError: if there is no such file, or it is damaged or something else.
    """
    path = place(path, "the model file")
    arrays = _read_arrays(path, lambda name: not name.startswith(_CALIBRATION))
    if _CONFIG not in arrays:
        raise CheckpointError(_no_model(path, f"it has no {_CONFIG}"))
    text = str(arrays.pop(_CONFIG))
    params: Params = {}
    for name, array in arrays.items():
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise CheckpointError(
                f"{path} does not hold a model: its {name} must be finite floating point numbers, "
                f"not {array.dtype if array.dtype.kind != 'f' else 'NaN or infinite'}."
            )
        module, _, parameter = name.rpartition("/")
        params.setdefault(module, {})[parameter] = array.astype(np.float32)
    return params, read_config(text, path)


def read_calibration(path: str | os.PathLike[str]) -> dict[str, np.ndarray] | None:
    """The arrays of the calibration in a model file, by name; None if it has none.

    Raises:
      CheckpointError: as `read_model`.
    """
    path = place(path, "the model file")
    arrays = _read_arrays(path, lambda name: name.startswith(_CALIBRATION))
    return {name.removeprefix(_CALIBRATION): array for name, array in arrays.items()} or None


def _read_arrays(path: AnyPath, wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
    if not is_file(path):
        raise CheckpointError(f"there is no model {path}.")
    data = io.BytesIO(read_bytes(path))
    try:
        archive = np.load(data, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it holds one array, not an archive of them")
        return {name: archive[name] for name in archive.files if wanted(name)}
    except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise CheckpointError(_no_model(path, str(error))) from error


def _no_model(path: AnyPath, why: str) -> str:
    return f"{path} does not hold a model ({why}): write it again with `hpunet export`."


def check_params(path: str | os.PathLike[str], params: Params, shapes: Any) -> None:
    """Raises a `CheckpointError` unless parameters have exactly the `shapes` of a network."""
    found = {f"{m}/{n}": value.shape for m, module in params.items() for n, value in module.items()}
    wanted = {f"{m}/{n}": leaf.shape for m, module in shapes.items() for n, leaf in module.items()}
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            raise CheckpointError(
                f"{path} does not fit the network of its config: {name} has shape "
                f"{found.get(name)}, but {wanted.get(name)} is expected."
            )
