"""A writer of the data set's files, with squares for neurites."""

import numpy as np
import pytest
import skimage.io

from hpunet_jax.data.vnc import sections

EDGES = np.arange(0, 1024, 64)


def labels_of_squares():
    """Squares of 64 pixels parted by membranes of 6, of all values that either has."""
    labels = np.full((1024, 1024), 255, np.uint8)
    labels[500:520, 500:520] = 191  # a mitochondrion belongs to its profile
    for value, start in enumerate((0, 2, 4)):
        near = (np.arange(1024)[:, None] - EDGES).T % 1024
        lines = ((near >= start) & (near < start + 2)).any(axis=0)
        labels[lines] = labels[:, lines] = sections.MEMBRANE[value + 1]
    return labels


def _write(folder, images="raw", suffix=".tif", numbers=range(20)):
    (folder / images).mkdir(parents=True)
    (folder / "labels").mkdir()
    image = np.random.default_rng(0).integers(0, 256, (1024, 1024), np.uint8)
    labels = labels_of_squares()
    for number in numbers:
        for path, pixels in (
            (folder / images / f"{number:02d}{suffix}", image),
            (folder / "labels" / f"labels{number:08d}.png", labels),
        ):
            skimage.io.imsave(path, pixels, check_contrast=False)
    return image, labels


@pytest.fixture
def write_sections():
    """Writes the images and labels of some sections; returns what each of them holds."""
    return _write
