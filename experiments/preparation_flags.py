"""Flags of the programs that read own files without a run whose config says how."""

from absl import flags

from hpunet_jax.io import Preparation

_WINDOW = flags.DEFINE_list("window", [], "low,high: values that become black and white.")
_PERCENTILES = flags.DEFINE_list("percentiles", [], "low,high: percentiles in place of a window.")
_SPACING = flags.DEFINE_list("spacing", [], "rows,columns: mm that images are resampled to.")
_HDF5 = flags.DEFINE_list("hdf5", [], "image,mask: names of the data sets in HDF5 files.")


def preparation() -> Preparation:
    """What the flags say.

    Raises:
      ValueError: it names the flag that makes no sense.
    """
    numbers = {flag.name: _numbers(flag) for flag in (_WINDOW, _PERCENTILES, _SPACING)}
    return Preparation(**numbers, hdf5=tuple(_HDF5.value))


def _numbers(flag: flags.FlagHolder) -> tuple[float, ...]:
    try:
        return tuple(map(float, flag.value))
    except ValueError as error:
        raise ValueError(
            f"--{flag.name} is {','.join(flag.value)}; expected two numbers, such as 0,1."
        ) from error
