"""Models from where they lie: work directories, model files, the shipped model, TF1 checkpoints."""

import io
import os
import zipfile
from typing import Any, no_type_check

import jax
import ml_collections
import numpy as np

from hpunet_jax.arguments import check_choice, check_integer, shown
from hpunet_jax.buckets import AnyPath, place
from hpunet_jax.checkpoints import (
    CheckpointError,
    Checkpoints,
    check_params,
    params_from_tf1,
    read_calibration,
    read_model,
    read_tf1,
)
from hpunet_jax.config.schema import WEIGHTS
from hpunet_jax.files import exists, is_file, is_folder, read_bytes
from hpunet_jax.folders import check_local
from hpunet_jax.inference.calibration import Calibration
from hpunet_jax.inference.devices import on_all
from hpunet_jax.inference.model import Model
from hpunet_jax.inference.shipped import shipped_models
from hpunet_jax.networks import build_network
from hpunet_jax.networks.config import DTYPES

CALIBRATION = "calibration.npz"  # in a work directory


@no_type_check  # arguments are checked here, see hpunet_jax/arguments.py
def load(
    directory: str | os.PathLike[str],
    step: int | str | None = None,
    *,
    weights: str = "trained",
    device: str | jax.Device | None = None,
    dtype: str | None = None,
) -> Model:
    """Loads a model that `experiments.train` or `experiments.export` wrote.

    Args:
      directory: the work directory of a training run, also "gs://bucket/run" or
        "s3://bucket/run"; or a model file, ending in ".npz"; or
        "pretrained/<name>", one of the small models that come with this package (`hpunet models`
        lists them), for trying the software out: "pretrained/lidc_phantom" was trained on real
        outlines on SIMULATED CT.
      step: which checkpoint of a work directory: a step, or "best", the one with the best
        validation (`training.keep_best_by`); default: the newest.
      weights: "trained", or "ema": their moving average, of a run with `training.ema_decay`.
      device: where it computes: "cpu", "gpu" or "tpu", with a number as in "gpu:1" for others than
        this process's first, or a `jax.Device`; "all": all of this process's of JAX's default kind,
        over which images, or the samples of one, are split; default: the first of them.
      dtype: "float32" or "bfloat16", of activations, in place of the config's `model.dtype`. In
        bfloat16, samples are faster on accelerators, and rounded differently.

    Returns:
      The model; the directory's own config says how it is built.

    Raises:
      CheckpointError: if the directory or file holds no complete, readable model.
      ValueError: for arguments that make no sense, or a device that this process does not have.
    """
    path = _path("directory", directory)
    if step is not None and not (isinstance(step, str) and step == "best"):
        step = check_integer("step", step, 0)
    weights = check_choice("weights", weights, WEIGHTS)
    device = _device(device)
    dtype = dtype if dtype is None else check_choice("dtype", dtype, DTYPES)
    if path.parent.name == "pretrained" and path.name and not exists(path):
        models = shipped_models()
        path = models[path.stem].file if path.stem in models else path
    if path.suffix == ".npz" and not is_folder(path):
        if weights != "trained":
            raise ValueError(
                f"weights={weights!r} is given, but the model file {path} holds one set of weights "
                "only: leave weights out, or give the work directory of a training run."
            )
        if step is not None:
            raise ValueError(
                f"step={step} is given, but the model file {path} holds one step only: leave step "
                "out, or give the work directory of a training run."
            )
        return _load_file(path, device, dtype)
    if is_file(path):
        raise CheckpointError(
            f"{path} is a file, but not a model file, whose name ends in .npz: give such a file or "
            "the work directory of a training run."
        )
    with Checkpoints(path) as checkpoints:
        step = checkpoints.step(step)
        config = _with_dtype(checkpoints.config(step), dtype)
        network = build_network(config.model, platform=_platform(device))
        sharding = _sharding(device)
        like = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            network.param_shapes(),
        )
        params = (checkpoints.ema if weights == "ema" else checkpoints.params)(like, step)
    model = Model(network, params, config)
    model.calibration = _calibration_beside(path, model)
    return model


def _load_file(path: AnyPath, device: jax.Device | str | None, dtype: str | None) -> Model:
    params, config = read_model(path)
    config = _with_dtype(config, dtype)
    network = build_network(config.model, platform=_platform(device))
    check_params(path, params, network.param_shapes())
    calibration = _calibration(path, read_calibration(path))
    return Model(network, _put(params, device), config, calibration)


def _calibration_beside(workdir: AnyPath, model: Model) -> Calibration | None:
    """The calibration in a work directory, if there is one of these weights."""
    file = workdir / CALIBRATION
    if not is_file(file):
        return None
    data = io.BytesIO(read_bytes(file))
    try:
        arrays = dict(np.load(data, allow_pickle=False))
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise CheckpointError(_damaged(file, error)) from error
    calibration = _calibration(file, arrays)
    return calibration if calibration and calibration.weights == model.digest() else None


def _calibration(path: AnyPath, arrays: dict[str, np.ndarray] | None) -> Calibration | None:
    try:
        return None if arrays is None else Calibration.from_arrays(arrays)
    except ValueError as error:
        raise CheckpointError(_damaged(path, error)) from error


def _damaged(path: AnyPath, error: Exception) -> str:
    return f"{path} is damaged ({error}): write it again with `hpunet calibrate`."


@no_type_check  # arguments are checked here, see hpunet_jax/arguments.py
def load_tf1(
    prefix: str | os.PathLike[str],
    *,
    device: str | jax.Device | None = None,
    dtype: str | None = None,
) -> Model:
    """Loads a checkpoint of the official TensorFlow 1 release.

    Args:
      prefix: the checkpoint's path without ".index", for instance "tf_graph_data.ckpt".
      device: as in `load`.
      dtype: as in `load`.

    Returns:
      The same kind of model as `load` gives. Its config has only a `model` section, inferred from
      the variables; `experiments.import_tf1` makes a complete checkpoint directory.

    Raises:
      CheckpointError: if the variables are not those of an HPU-Net; it names them.
      FileNotFoundError, ValueError: if the files are missing or damaged, or arguments make no
        sense.
    """
    path = check_local(_path("prefix", prefix), "prefix")
    device = _device(device)
    dtype = dtype if dtype is None else check_choice("dtype", dtype, DTYPES)
    checkpoint = read_tf1(path)
    config = ml_collections.ConfigDict({"model": dict(checkpoint.model)}).lock()
    config = _with_dtype(config, dtype)
    network = build_network(config.model, platform=_platform(device))
    params = params_from_tf1(checkpoint.variables, network.param_shapes())
    return Model(network, _put(params, device), config)


def _put(params: Any, device: jax.Device | str | None) -> Any:
    """The parameters on the device of `load`; by default where JAX puts arrays."""
    return jax.device_put(params, _sharding(device) if device == "all" else device)


def _platform(device: jax.Device | str | None) -> str:
    """The platform of a device; of the one that arrays lie on by default."""
    return (device if isinstance(device, jax.Device) else jax.local_devices()[0]).platform


def _path(name: str, value: Any) -> AnyPath:
    """A path argument; refuses what is none, what is empty, and addresses of no bucket."""
    if not isinstance(value, str | os.PathLike) or isinstance(os.fspath(value), bytes):
        raise ValueError(f"{name} must be a path, as text or pathlib.Path, not {shown(value)}.")
    text = os.fspath(value)
    if not text:
        raise ValueError(f'{name} is empty: give a path, "." for the current folder.')
    if "\0" in text:
        raise ValueError(f"{name} must be a path, but {shown(text)} has a NUL character.")
    return place(value, name)


def _sharding(device: jax.Device | str | None) -> jax.sharding.Sharding:
    """How parameters lie on the device of `load`."""
    if device == "all" and len(jax.local_devices()) > 1:
        return on_all(jax.local_devices())
    one = device if isinstance(device, jax.Device) else jax.local_devices()[0]
    return jax.sharding.SingleDeviceSharding(one)


def _device(device: Any) -> jax.Device | str | None:
    """The device of `load`; "all" and None, JAX's default, stay what they are."""
    if device is None or device == "all" or isinstance(device, jax.Device):
        return device
    wrong = f'device must be "all", "cpu", "gpu" or "tpu", maybe with a number as in "gpu:1", or a \
jax.Device, not {shown(device)}.'
    if not isinstance(device, str):
        raise ValueError(wrong)
    kind, colon, number = device.partition(":")
    if kind not in ("cpu", "gpu", "tpu") or (colon and not number.isdecimal()):
        raise ValueError(wrong)
    try:
        devices = jax.local_devices(backend=kind)
    except RuntimeError as error:
        raise ValueError(f"device is {device!r}, but JAX has no {kind} here.") from error
    if int(number or 0) >= len(devices):
        raise ValueError(
            f"device is {device!r}, but this process has {len(devices)} of kind {kind}."
        )
    return devices[int(number or 0)]


def _with_dtype(config: ml_collections.ConfigDict, dtype: str | None) -> ml_collections.ConfigDict:
    if dtype is None:
        return config
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.model.dtype = dtype
    return config.lock()
