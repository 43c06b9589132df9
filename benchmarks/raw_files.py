"""Files in the formats of the paper's data sets, for benchmarks: generated, of the real sizes.

What they show is taken from the embedded and generated data sets, so that they compress about as
real ones do.
"""

import os
import pathlib

import h5py
import numpy as np
import tifffile
from PIL import Image

from hpunet_jax.data.cityscapes import files as cityscapes_files
from hpunet_jax.data.phantoms.lidc_examples import phantom_examples
from hpunet_jax.data.phantoms.neurites_examples import block
from hpunet_jax.data.phantoms.streets_examples import scene
from hpunet_jax.data.snemi3d import stacks as snemi3d_stacks

_BLOCKS = 16  # different ones; SNEMI3D's block is paved with them
_FRAMES = {"train/aachen": 12, "train/ulm": 2, "val/lindau": 2}


def write_lidc_crops(folder: str | os.PathLike[str], count: int = 256) -> None:
    """Writes crops in the layout of the published ones, for `lidc_crops/any_count`.

    Args:
      folder: where.
      count: number of images, all for training.
    """
    part = pathlib.Path(folder) / "train"
    examples = phantom_examples("train", workers=0, limit=count // 2, progress=False)
    for _, example in zip(range(count), examples, strict=False):
        name = str(example["id"])
        _save(part / "images" / f"{name}.png", example["image"][..., 0])
        for grader, mask in enumerate(np.moveaxis(example["masks"], -1, 0)):
            _save(part / "gt" / f"{name}_l{grader}.png", mask * np.uint8(255))


def write_snemi3d(folder: str | os.PathLike[str]) -> None:
    """Writes a block of 1024x1024x100 voxels, the volume as TIFF and the labels as HDF5.

    Args:
      folder: where.
    """
    blocks = [block(number) for number in range(_BLOCKS)]
    _, height, width = snemi3d_stacks.SHAPE
    size = blocks[0][0].shape[1]
    rng = np.random.default_rng(0)
    volume, labels = [], []
    for row in range(-(-height // size)):
        chosen = rng.integers(0, _BLOCKS, -(-width // size))
        volume.append(np.concatenate([blocks[i][0] for i in chosen], axis=2))
        parts = []
        for column, i in enumerate(chosen):  # ids are unique in the whole block
            ids = blocks[i][1]
            parts.append(np.where(ids, ids + 100 * (row * len(chosen) + column), 0))
        labels.append(np.concatenate(parts, axis=2))
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    repeats = (-(-snemi3d_stacks.SHAPE[0] // len(blocks[0][0])), 1, 1)

    def whole(rows: list[np.ndarray]) -> np.ndarray:
        slices = np.concatenate(rows, axis=1)[:, :height, :width]
        return np.tile(slices, repeats)[: snemi3d_stacks.SHAPE[0]]

    tifffile.imwrite(folder / "train-input.tif", whole(volume), photometric="minisblack")
    with h5py.File(folder / "train-labels.h5", "w") as file:
        file.create_dataset("main", data=whole(labels).astype(np.uint16))


def write_cityscapes(folder: str | os.PathLike[str]) -> None:
    """Writes a few frames in the folders of Cityscapes, for `cityscapes/any_count`.

    Args:
      folder: where.
    """
    folder = pathlib.Path(folder)
    rng = np.random.default_rng(0)
    number = 0
    for place, count in _FRAMES.items():
        city = pathlib.PurePath(place).name
        for frame in range(count):
            image, ids = _frame(rng, number)
            name = f"{city}_{frame:06d}_000019"
            _save(folder / "leftImg8bit" / place / f"{name}_leftImg8bit.png", image)
            _save(folder / "gtFine" / place / f"{name}_gtFine_instanceIds.png", ids)
            number += 1


def _frame(rng: np.random.Generator, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Image uint8 [1024, 2048, 3] and instance ids uint16 [1024, 2048]."""
    drawn = scene(number)
    factor = cityscapes_files.SIZE[0] // drawn["image"].shape[0]
    height, width = cityscapes_files.SIZE
    large = np.array(Image.fromarray(drawn["image"]).resize((width, height), Image.BILINEAR))
    noise = rng.integers(-4, 5, large.shape, np.int8)
    image = np.clip(large.astype(np.int16) + noise, 0, 255).astype(np.uint8)
    table = cityscapes_files.train_ids()
    classes = [int(np.flatnonzero(table == train_id)[0]) for train_id in range(19)]
    ids = np.zeros(drawn["semantic"].shape, np.uint16)  # class 0 is not trained
    for train_id, number_of_class in enumerate(classes):
        ids[drawn["semantic"] == train_id] = number_of_class
    cars = drawn["cars"]
    ids = np.where(cars > 0, 1000 * cityscapes_files.CAR + cars - 1, ids).astype(np.uint16)
    return image, np.kron(ids, np.ones((factor, factor), np.uint16))


def _save(path: pathlib.Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
