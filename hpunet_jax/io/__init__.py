"""Any image file that a user has, read by one set of rules: the table in docs/data.md."""

from hpunet_jax.io.decode import decode_image, decode_labels
from hpunet_jax.io.image import Image, Slices, fit_channels
from hpunet_jax.io.listing import SUFFIXES, Listing, check_apart, find_images, is_clutter, name_of
from hpunet_jax.io.preparation import Preparation, resize_labels, resize_values
from hpunet_jax.io.read import (
    read_image,
    read_label_slices,
    read_labels,
    read_slices,
)
from hpunet_jax.io.stored import read_bytes
from hpunet_jax.io.volumes import Volume, read_volume
from hpunet_jax.io.write import write_labels
from hpunet_jax.io.write_volumes import check_writable, result_suffix, write_volume

__all__ = [
    "SUFFIXES",
    "Image",
    "Listing",
    "Preparation",
    "Slices",
    "Volume",
    "check_apart",
    "check_writable",
    "decode_image",
    "decode_labels",
    "find_images",
    "fit_channels",
    "is_clutter",
    "name_of",
    "read_bytes",
    "read_image",
    "read_label_slices",
    "read_labels",
    "read_slices",
    "read_volume",
    "resize_labels",
    "resize_values",
    "result_suffix",
    "write_labels",
    "write_volume",
]
