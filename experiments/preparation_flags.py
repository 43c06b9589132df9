"""Flags of the programs that read files: how, where no run's config says it, or in its place."""

from collections.abc import Mapping
from typing import Any

from absl import flags

from hpunet_jax.io import Preparation

_WINDOW = flags.DEFINE_list("window", [], "low,high: values that become black and white.")
_PERCENTILES = flags.DEFINE_list("percentiles", [], "low,high: percentiles in place of a window.")
_SPACING = flags.DEFINE_list("spacing", [], "rows,columns: mm that images are resampled to.")
_HDF5 = flags.DEFINE_list("hdf5", [], "image,mask: names of the data sets in HDF5 files.")


def preparation(data: Mapping[str, Any] | None = None) -> Preparation:
    """What the flags say, and the config where they say nothing.

    Args:
      data: the section `data` of a run's config; None: there is none.

    Raises:
      ValueError: it names the flag or field that makes no sense.
    """
    fields = {name: (data or {}).get(name) or () for name in ("spacing", "hdf5")}
    values = _numbers(_WINDOW), _numbers(_PERCENTILES)
    if not any(values):
        values = tuple((data or {}).get(name) or () for name in ("window", "percentiles"))
    fields["spacing"] = _numbers(_SPACING) or fields["spacing"]
    fields["hdf5"] = tuple(_HDF5.value) or fields["hdf5"]
    return Preparation.from_config({"window": values[0], "percentiles": values[1], **fields})


def _numbers(flag: flags.FlagHolder) -> tuple[float, ...]:
    try:
        return tuple(map(float, flag.value))
    except ValueError as error:
        raise ValueError(
            f"--{flag.name} is {','.join(flag.value)}; expected two numbers, such as 0,1."
        ) from error
