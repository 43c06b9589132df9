"""Files as Cityscapes has them, its own scripts drawing the PNGs from polygons."""

import json

import numpy as np
import pytest
from cityscapesscripts.helpers.annotation import Annotation
from cityscapesscripts.helpers.labels import id2label
from cityscapesscripts.preparation.json2instanceImg import createInstanceImage
from cityscapesscripts.preparation.json2labelImg import json2labelImg
from PIL import Image

from hpunet_jax.data.cityscapes import files

HEIGHT, WIDTH = files.SIZE


def box(label, x, y, width=200, height=100):
    polygon = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
    return {"label": label, "polygon": polygon}


OBJECTS = [
    box("road", 0, 0, WIDTH, HEIGHT),
    box("car", 100, 100),
    box("car", 400, 101),
    box("cargroup", 700, 100),
    box("person", 1000, 100),
    box("license plate", 120, 120, 20, 20),
    box("caravan", 1300, 100),
    box("polegroup", 1600, 100),
    box("bicycle", 1800, 100),
]


def write_frame(folder, part, city, number, objects=OBJECTS, seed=0):
    """Writes image, polygons, class and instance files of one frame; returns their stem."""
    name = f"{city}_{number:06d}_000019"
    image = np.random.default_rng(seed).integers(0, 256, (2, 2, 3), np.uint8)
    image = np.tile(image, (HEIGHT // 2, WIDTH // 2, 1))
    place = folder / "leftImg8bit" / part / city
    place.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(place / f"{name}_leftImg8bit.png", compress_level=1)
    place = folder / "gtFine" / part / city
    place.mkdir(parents=True, exist_ok=True)
    stem = place / f"{name}_gtFine"
    annotation = {"imgHeight": HEIGHT, "imgWidth": WIDTH, "objects": objects}
    polygons = f"{stem}_polygons.json"
    with open(polygons, "w") as file:
        json.dump(annotation, file)
    json2labelImg(polygons, f"{stem}_labelIds.png")
    read = Annotation()
    read.fromJsonFile(polygons)
    ids = np.array(createInstanceImage(read, "ids")).astype(np.uint16)
    Image.fromarray(ids).save(f"{stem}_instanceIds.png", compress_level=1)
    return stem


def test_classes_are_those_of_cityscapes_own_label_images(tmp_path):
    stem = write_frame(tmp_path, "train", "ulm", 0)
    semantic, _ = files.read_annotation(f"{stem}_instanceIds.png")
    label_ids = np.array(Image.open(f"{stem}_labelIds.png"))[::2, ::2]
    expected = np.vectorize(lambda label: id2label[label].trainId)(label_ids).astype(np.uint8)
    np.testing.assert_array_equal(semantic, expected, strict=True)
    assert set(np.unique(semantic)) == {0, 11, 13, 18, 255}


def test_each_car_has_a_number_and_groups_and_others_have_none(tmp_path):
    stem = write_frame(tmp_path, "train", "ulm", 0)
    semantic, cars = files.read_annotation(f"{stem}_instanceIds.png")
    assert cars.dtype == np.uint16
    assert (cars[75, 100], cars[75, 250], cars[75, 400]) == (1, 2, 0)
    assert semantic[75, 400] == 13  # a group of cars is of the class car, but no single car
    assert set(np.unique(cars)) == {0, 1, 2}
    ids = np.array([26, 24_001, 26_000, 26_999, 27_000], np.uint16)
    assert files.car_numbers(ids).tolist() == [0, 0, 1, 1000, 0]


def test_the_table_is_cityscapes_19_classes():
    table = files.train_ids()
    assert [table[label] for label in (7, 26, 33)] == [0, 13, 18]
    assert sorted(set(table.tolist()) - {255}) == list(range(19))
    assert (table == 255).sum() == 15  # of 34 classes


def test_half_resolution_is_the_mean_for_images_and_a_pixel_for_ids():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    mean = pixels.reshape(3, 2, 4, 2, 3).astype(float).mean(axis=(1, 3))
    expected = np.floor(mean + 0.5).astype(np.uint8)
    np.testing.assert_array_equal(files.halve_by_area(pixels), expected, strict=True)
    ids = np.arange(48, dtype=np.uint16).reshape(6, 8)
    assert files.halve_by_nearest(ids).tolist() == [
        [0, 2, 4, 6],
        [16, 18, 20, 22],
        [32, 34, 36, 38],
    ]


def test_frames_are_sorted_into_the_papers_splits(tmp_path):
    places = [("train", "aachen"), ("train", "ulm"), ("train", "monchengladbach")]
    places += [("train", "darmstadt"), ("val", "frankfurt")]
    for part, city in places:
        write_frame(tmp_path, part, city, 1, [])
    city = tmp_path / "leftImg8bit/train/ulm"
    (city / "._ulm_000000_000001_leftImg8bit.png").write_bytes(b"left by a Mac")
    frames, problems = files.find_frames(tmp_path)
    assert problems == []
    cities = {split: [frame.id.split("_")[0] for frame in frames[split]] for split in frames}
    assert cities == {
        "train": ["aachen"],
        "validation": ["darmstadt", "monchengladbach", "ulm"],
        "test": ["frankfurt"],
    }
    assert len(files.check_counts(frames)) == 3
    assert "The split 'test' has 1 images, expected 500." in files.check_counts(frames)


def test_every_bad_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"leftImg8bit is missing\. Download"):
        files.find_frames(tmp_path)
    stems = [write_frame(tmp_path, "val", "lindau", number, []) for number in range(5)]
    images = [
        tmp_path / "leftImg8bit/val/lindau" / f"{stem.name.removesuffix('_gtFine')}_leftImg8bit.png"
        for stem in stems
    ]
    images[0].unlink()
    ids = [stem.with_name(f"{stem.name}_instanceIds.png") for stem in stems]
    ids[1].unlink()
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(ids[2])
    Image.fromarray(np.zeros((512, 1024, 3), np.uint8)).save(images[3])
    images[4].write_bytes(images[4].read_bytes()[:20])
    frames, problems = files.find_frames(tmp_path)
    assert not any(frames.values())
    words = [
        f"{images[0]} is missing.",
        f"{ids[1]} is missing.",
        f"{ids[2]} has 8 bits per value; expected 16.",
        f"{images[3]} has 512x1024 pixels; expected Cityscapes' 1024x2048.",
        f"{images[4]} cannot be read; it is damaged or no PNG file",
    ]
    assert len(problems) == len(words)
    assert all(problem.startswith(text) for problem, text in zip(problems, words, strict=True))


def test_damaged_pixels_and_unknown_ids_are_named_when_read(tmp_path):
    stem = write_frame(tmp_path, "train", "ulm", 0, [])
    path = stem.with_name(f"{stem.name}_instanceIds.png")
    Image.fromarray(np.full(files.SIZE, 40_001, np.uint16)).save(path)
    with pytest.raises(ValueError, match=r"instanceIds\.png has the id 40001; expected classes 0"):
        files.read_annotation(path)
    Image.fromarray(np.full(files.SIZE, 4, np.uint16)).save(path)
    with pytest.raises(ValueError, match=r"instanceIds\.png has no pixel to learn from: none"):
        files.read_annotation(path)
    image = next(tmp_path.rglob("*_leftImg8bit.png"))
    image.write_bytes(image.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"leftImg8bit\.png is damaged"):
        files.read_image(image)
    with pytest.raises(ValueError, match=r"instanceIds\.png holds 1024x2048x1 uint16 values"):
        files.read_image(path)
