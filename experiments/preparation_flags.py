"""Flags of the programs that read files: how, where no run's config says it, or in its place."""

from collections.abc import Mapping
from typing import Any

from absl import flags

from hpunet_jax.io import Preparation

_WINDOW = flags.DEFINE_list(
    "window", [], "low,high: values that become black and white, in the files' units (HU of CT)."
)
_PERCENTILES = flags.DEFINE_list("percentiles", [], "low,high: percentiles in place of a window.")
_SPACING = flags.DEFINE_list("spacing", [], "rows,columns: mm that images are resampled to.")
_SCALE = flags.DEFINE_float("scale", None, "Factor by which images are enlarged, below 1 reduced.")
_PIXEL = flags.DEFINE_float(
    "pixel_size", None, "Size of the files' pixels, with --model_pixel_size in place of --scale."
)
_MODELS = flags.DEFINE_float(
    "model_pixel_size", None, "Size of the pixels in training, in the same unit."
)
_HDF5 = flags.DEFINE_list("hdf5", [], "images,masks: names of the data sets in HDF5 files.")


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
    scale = _scale() or (data or {}).get("scale", 1.0)
    values = {"window": values[0], "percentiles": values[1], "scale": scale}
    return Preparation.from_config({**values, **fields})


def _scale() -> float | None:
    """By which images are enlarged; None where no flag says so."""
    sizes = {"pixel_size": _PIXEL.value, "model_pixel_size": _MODELS.value}
    given = [name for name, size in sizes.items() if size is not None]
    if len(given) == 1:
        (missing,) = sizes.keys() - given
        raise ValueError(f"--{given[0]} needs --{missing}, in the same unit; or give --scale.")
    for name, value in {"scale": _SCALE.value, **sizes}.items():
        if value is not None and value <= 0:
            raise ValueError(f"--{name} is {value:g}: expected a number above 0.")
    if given and _SCALE.value is not None:
        raise ValueError("--scale and --pixel_size say the same thing in two ways: give one.")
    return _PIXEL.value / _MODELS.value if given else _SCALE.value


def _numbers(flag: flags.FlagHolder) -> tuple[float, ...]:
    try:
        return tuple(map(float, flag.value))
    except ValueError as error:
        raise ValueError(
            f"--{flag.name} is {','.join(flag.value)}; expected two numbers, such as 0,1."
        ) from error
