"""Small folders of gradings and samples."""

import numpy as np
import pytest

from hpunet_jax.io import write_labels


@pytest.fixture
def write():
    """Writes maps of labels, {name: integers [H, W]}, as PNG files below a folder."""

    def write_all(folder, maps):
        for name, labels in maps.items():
            path = folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_labels(path, np.asarray(labels, np.uint8))
        return folder

    return write_all


@pytest.fixture
def discs():
    """{name: (gradings [3, 16, 16], samples [4, 16, 16])} of four images."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:16, :16] - 7.5
    radii = rng.uniform(2, 7, (4, 7, 1, 1))
    maps = (np.hypot(y, x) < radii).astype(np.uint8)
    return {f"image {n}": (one[:3], one[3:]) for n, one in enumerate(maps)}
