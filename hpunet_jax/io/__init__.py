"""Any image file that a user has, read by one set of rules: the table in docs/data.md."""

from hpunet_jax.io.image import Image, fit_channels
from hpunet_jax.io.listing import SUFFIXES, Listing, check_apart, find_images, is_clutter
from hpunet_jax.io.preparation import Preparation, resize_labels
from hpunet_jax.io.read import decode_image, decode_labels, read_bytes, read_image, read_labels
from hpunet_jax.io.write import write_labels

__all__ = [
    "SUFFIXES",
    "Image",
    "Listing",
    "Preparation",
    "check_apart",
    "decode_image",
    "decode_labels",
    "find_images",
    "fit_channels",
    "is_clutter",
    "read_bytes",
    "read_image",
    "read_labels",
    "resize_labels",
    "write_labels",
]
