"""A trained model as one small file: parameters and config, without what only training needs.

The file is a NumPy .npz archive: arrays `<module>/<parameter>` in float32 or float16, and `config`,
the config that made them, as JSON. Reading it runs no code of the file.
"""

import io
import os
import zipfile
import zlib
from typing import Any

import ml_collections
import numpy as np

from hpunet_jax.buckets import place
from hpunet_jax.checkpoints.directory import CheckpointError, read_config
from hpunet_jax.config import to_json
from hpunet_jax.files import is_file, read_bytes, write_aside

SUFFIX = ".npz"
_CONFIG = "config"

Params = dict[str, dict[str, np.ndarray]]


def write_model(
    path: str | os.PathLike[str],
    params: Any,
    config: ml_collections.ConfigDict,
    dtype: str = "float32",
) -> None:
    """Writes a model to one file.

    Args:
      path: the file, whose name ends in ".npz".
      params: the network's parameters, {module: {parameter: array}}.
      config: the config that made them.
      dtype: "float32"; or "float16", half as large, with weights rounded to 11 bits.

    Raises:
      ValueError: if float16 cannot hold a weight.
    """
    arrays: dict[str, Any] = {
        f"{module}/{name}": _rounded(f"{module}/{name}", value, dtype)
        for module, parameters in params.items()
        for name, value in parameters.items()
    }
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
    if not is_file(path):
        raise CheckpointError(f"there is no model {path}.")
    data = io.BytesIO(read_bytes(path))
    try:
        archive = np.load(data, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it holds one array, not an archive of them")
        arrays = {name: archive[name] for name in archive.files}
        text = str(arrays.pop(_CONFIG))
    except PermissionError:
        raise
    except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise CheckpointError(
            f"{path} does not hold a model ({error}): write it again with `hpunet export`."
        ) from error
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
