"""A tiny untrained model with pictures to explore."""

import jax
import ml_collections
import numpy as np
import pytest

pytest.importorskip("starlette", reason="pip install '.[app]' in a clone")

from hpunet_jax.app.explorer import Explorer
from hpunet_jax.app.pictures import Grader, Picture, Pictures
from hpunet_jax.inference import Model
from hpunet_jax.networks import build_network

SIZE = (13, 18)  # no multiples of what the network halves


@pytest.fixture(scope="session")
def model(tiny_model):
    section = {**tiny_model, "num_classes": 2, "num_scales": 3}
    network = build_network(section)
    config = ml_collections.ConfigDict({"model": section, "data": {}}).lock()
    return Model(network, network.init(jax.random.key(0)), config)


def open_picture(number, slice_number):
    rng = np.random.default_rng([number, slice_number])
    pixels = rng.integers(0, 256, (*SIZE, 1)).astype(np.uint8)
    mask = np.zeros(SIZE, np.uint8)
    mask[4:9, 5:12] = 1
    mask[0] = 255  # not judged
    spacing = (0.5, 2.0) if number else None
    return Picture(
        f"picture {number}", pixels, [Grader("grader 0", mask)], spacing, source=f"{number}.png"
    )


@pytest.fixture
def explorer(model, tmp_path):
    pictures = Pictures(["picture 0", "picture 1", "picture 2"], open_picture)
    return Explorer(model, "tiny", pictures, str(tmp_path / "out"), max_cases=2)
