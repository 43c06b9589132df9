"""Flags of all programs that read files: how values and pixels become those of a model."""

from absl import flags

from hpunet_jax.io import Preparation

_WINDOW = flags.DEFINE_list(
    "window", None, "low,high: the values of files that become 0 and 1. Default: the model's."
)
_PERCENTILES = flags.DEFINE_list(
    "percentiles", None, "low,high: instead of a window, percentiles of each image or volume."
)
_SPACING = flags.DEFINE_list(
    "spacing", None, "down,across: mm between pixels to resample to. Default: the model's."
)
_HDF5 = flags.DEFINE_string("hdf5", None, "Of HDF5 files: the name of the data set.")


def preparation(data) -> Preparation:
    """What the section `data` of a model's config says, with what the flags say in its place.

    Args:
      data: the section; None: there is none.

    Raises:
      ValueError: for flags that are no numbers, or make no sense together.
    """
    fields = {name: (data or {}).get(name) or () for name in ("window", "percentiles", "spacing")}
    window, percentiles = _numbers(_WINDOW), _numbers(_PERCENTILES)
    if window or percentiles:
        fields |= {"window": window, "percentiles": percentiles}
    if spacing := _numbers(_SPACING):
        fields["spacing"] = spacing
    fields["hdf5"] = (_HDF5.value,) if _HDF5.value else (data or {}).get("hdf5") or ()
    return Preparation.from_config(fields)


def _numbers(flag) -> tuple[float, ...]:
    try:
        values = tuple(map(float, flag.value or ()))
    except ValueError:
        values = (0.0,)
    if flag.value and len(values) != 2:
        raise ValueError(
            f"--{flag.name} must be two numbers with a comma, not {','.join(flag.value)}."
        )
    return values
