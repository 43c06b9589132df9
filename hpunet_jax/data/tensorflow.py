"""TensorFlow and TFDS as the data sets use them: on the CPU only, and quiet.

All of `hpunet_jax.data` imports them from here. TensorFlow would otherwise take the memory of every
GPU that its build can use with its first operation, and JAX would find none left.
"""

import contextlib
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import tensorflow as tf
import tensorflow_datasets as tfds

for _kind in ("GPU", "TPU"):
    with contextlib.suppress(RuntimeError):  # somebody else's TensorFlow runs already
        tf.config.set_visible_devices([], _kind)

__all__ = ["tf", "tfds"]
