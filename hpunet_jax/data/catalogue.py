"""The data sets: which there are, and opening one that a config or a program names."""

import difflib
import importlib
import os
from typing import Any

from google.protobuf import json_format

from hpunet_jax.data.tensorflow import tfds
from hpunet_jax.folders import check_local, check_no_pattern

# The module that registers the TFDS builder of each name.
BUILDERS = {
    "cityscapes": "hpunet_jax.data.cityscapes.builder",
    "lidc_crops": "hpunet_jax.data.lidc.crops",
    "lidc_v1": "hpunet_jax.data.lidc_v1.builder",
    "lidc_phantom": "hpunet_jax.data.phantoms.lidc",
    "neurites_phantom": "hpunet_jax.data.phantoms.neurites",
    "own_data": "hpunet_jax.data.own.builder",
    "snemi3d": "hpunet_jax.data.snemi3d.builder",
    "streets_phantom": "hpunet_jax.data.phantoms.streets",
    "vnc": "hpunet_jax.data.vnc.builder",
}


def find_builder(
    name: str, data_dir: str | os.PathLike[str] | None = None, **builder_kwargs: Any
) -> tfds.core.DatasetBuilder:
    """Finds one of our data sets, whether it has been built or not.

    Args:
      name: the data set, e.g. 'lidc_phantom', or with a builder config 'lidc_crops/any_count'.
      data_dir: TFDS's data directory; None means TFDS's default (~/tensorflow_datasets).
      **builder_kwargs: passed on to the builder.

    Returns:
      The builder.

    Raises:
      ValueError: there is no data set of this name, what is built is damaged, or `data_dir` is an
        address or has characters that TFDS takes for a pattern.
    """
    kind = name.partition("/")[0]
    if kind not in BUILDERS:
        near = difflib.get_close_matches(kind, BUILDERS, n=1)
        hint = f"; did you mean {near[0]!r}" if near else ""
        raise ValueError(
            f"There is no data set {name!r}{hint}: expected one of {', '.join(BUILDERS)}."
        )
    if kind == "own_data" and "config" not in builder_kwargs:
        raise ValueError(
            "own_data is built from its folder by the first program that uses it: set "
            "data.name=own_data and data.dir=<folder>. To check the folder: "
            "hpunet check_data --dir=<folder>"
        )
    importlib.import_module(BUILDERS[kind])
    if data_dir is not None:
        data_dir = os.fspath(data_dir)
        check_local(data_dir, "data_dir")
        check_no_pattern(data_dir, "data_dir")
    try:
        return tfds.builder(name, data_dir=data_dir, **builder_kwargs)
    except json_format.ParseError as error:
        raise ValueError(
            f"The description of the data set {name!r} in {data_dir} is damaged. Build it again: "
            f"hpunet build_data --name={name} --data_dir={data_dir} --rebuild"
        ) from error


def load_builder(
    name: str, data_dir: str | os.PathLike[str] | None = None, **builder_kwargs: Any
) -> tfds.core.DatasetBuilder:
    """Finds one of our data sets that has been built.

    Args:
      name: as for `find_builder`.
      data_dir: as for `find_builder`.
      **builder_kwargs: passed on to the builder.

    Returns:
      The prepared builder.

    Raises:
      ValueError: there is no data set of this name.
      FileNotFoundError: the data set has not been built in `data_dir`.
    """
    builder = find_builder(name, data_dir, **builder_kwargs)
    if not builder.is_prepared():
        flag = "" if data_dir is None else f" --data_dir={data_dir}"
        raise FileNotFoundError(
            f"The data set {name!r} has not been built: {builder.data_path} does not exist. "
            f"Build it with: hpunet build_data --name={name}{flag}"
        )
    return builder
