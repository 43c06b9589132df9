"""Shared by all tests: tiny configs and the numbers recorded from the official implementation."""

import locale
import os
import pathlib
import tempfile

from tests.xla import xla_flags

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Several devices, so that splitting over them is tested wherever the tests run.
os.environ.setdefault("XLA_FLAGS", xla_flags(devices=8))
# What one test, or a program that it starts, has compiled, others find there.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # that of the process that starts the others
    _compiled = tempfile.TemporaryDirectory(prefix="hpunet_jax_tests_")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _compiled.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"

import jax
import ml_collections
import numpy as np
import pytest

from configs import demo

GOLDEN = pathlib.Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def golden_folder() -> pathlib.Path:
    """Folder of the recorded numbers; golden/README.md explains every key."""
    return GOLDEN


@pytest.fixture(scope="session")
def tiny_model() -> dict:
    """The `model` section of a network small enough to compile in a second."""
    return {
        "name": "hpunet",
        "image_channels": 1,
        "num_classes": 3,
        "num_scales": 4,
        "base_channels": 4,
        "max_channels": 8,
        "latent_dims": (1, 2),
        "blocks_per_scale": 1,
    }


@pytest.fixture
def tiny_config(module_config) -> ml_collections.ConfigDict:
    """A complete config around `tiny_model`, on one device, for 16x16 crops."""
    return module_config.copy_and_resolve_references().lock()


@pytest.fixture(scope="module")
def module_config(tiny_model) -> ml_collections.ConfigDict:
    """The same for what a module's tests share, which leave it as it is."""
    config = demo.get_config().unlock()
    config.data.crop = (16, 16)
    config.model = ml_collections.ConfigDict(tiny_model)
    config.model.num_classes = 2
    config.training.batch_size = 4
    config.training.steps = 4
    config.training.log_every = 1
    config.training.checkpoint_every = 2
    return config.lock()


@pytest.fixture
def examples(module_examples) -> dict[str, np.ndarray]:
    """A batch of four 24x24 examples: a bright disc, outlined differently by four graders."""
    return dict(module_examples)


@pytest.fixture(scope="module")
def module_examples() -> dict[str, np.ndarray]:
    """The same for what a module's tests share, which leave it as it is."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:24, :24]
    distance = np.hypot(y - 12, x - 12)
    masks = np.stack([distance < radius for radius in (4, 5, 6, 0)], axis=-1)
    image = (np.exp(-((distance / 6) ** 2)) * 200 + rng.uniform(0, 40, (4, 24, 24))).astype("uint8")
    return {
        "image": image[..., None],
        "masks": np.broadcast_to(masks, (4, 24, 24, 4)).astype(np.uint8),
    }


@pytest.fixture(scope="session", autouse=True)
def _partitionable_noise():
    assert jax.config.jax_threefry_partitionable  # the same noise whatever the mesh


@pytest.fixture(autouse=True)
def _locale():
    """GDCM, by which tests write DICOM files, leaves the process in the locale C."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    if locale.setlocale(locale.LC_ALL) != before:
        locale.setlocale(locale.LC_ALL, before)
