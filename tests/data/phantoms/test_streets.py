"""The generated streets: Cityscapes' classes, overlapping cars, annotations that are tossed up."""

import numpy as np
import pytest
from skimage.measure import label as connected_components

from hpunet_jax.data.phantoms import streets_examples
from hpunet_jax.data.phantoms.streets_drawing import CAR, SIZE, Canvas
from hpunet_jax.data.phantoms.streets_examples import SCENES, phantom_examples, scene
from hpunet_jax.labels import IGNORED

TRUCK, BUS = 14, 15


@pytest.fixture(scope="module")
def scenes():
    return [scene(number) for number in range(40)]


def test_a_scene_depends_on_its_number_alone(scenes):
    again = scene(7)
    for name, array in again.items():
        np.testing.assert_array_equal(array, scenes[7][name])
    assert not np.array_equal(again["image"], scenes[8]["image"])


def test_examples_have_the_form_of_cityscapes():
    (example,) = phantom_examples("validation", limit=1)
    assert (example["image"].shape, example["image"].dtype) == ((*SIZE, 3), np.uint8)
    assert (example["semantic"].shape, example["semantic"].dtype) == (SIZE, np.uint8)
    assert (example["cars"].shape, example["cars"].dtype) == (SIZE, np.uint16)


def test_all_classes_are_train_ids_and_every_class_occurs(scenes):
    seen = set(np.unique([example["semantic"] for example in scenes]).tolist())
    assert seen == {0, 1, 2, 5, 8, 10, 11, 13, 14, 15, IGNORED}


def test_cars_are_car_pixels_and_hardly_visible_ones_belong_to_a_group(scenes):
    for example in scenes:
        car, ids = example["semantic"] == CAR, example["cars"]
        assert car[ids > 0].all()
        assert np.unique(ids[ids > 0], return_counts=True)[1].min(initial=24) >= 24
    assert any(((e["semantic"] == CAR) & (e["cars"] == 0)).any() for e in scenes)


def test_cars_hide_each_other(scenes):
    cars = sum(len(np.unique(example["cars"])) - 1 for example in scenes)
    pieces = sum(connected_components(example["cars"] > 0).max() for example in scenes)
    assert cars > 4 * len(scenes)
    assert pieces < 0.7 * cars


def test_cars_stand_at_all_distances(scenes):
    heights = [
        np.ptp(np.nonzero(example["cars"] == number)[0]) + 1
        for example in scenes
        for number in np.unique(example["cars"])[1:]
    ]
    assert np.percentile(heights, 5) <= 6
    assert np.percentile(heights, 95) > 20


def test_bus_or_truck_is_a_toss_that_the_image_does_not_show(scenes, monkeypatch):
    trucks = [i for i, example in enumerate(scenes) if (example["semantic"] == TRUCK).any()]
    buses = [i for i, example in enumerate(scenes) if (example["semantic"] == BUS).any()]
    assert min(len(trucks), len(buses)) >= 3
    monkeypatch.setattr(streets_examples, "TRUCK_OR_BUS", (BUS, BUS))
    other = scene(trucks[0])
    np.testing.assert_array_equal(other["image"], scenes[trucks[0]]["image"])
    was_truck = scenes[trucks[0]]["semantic"] == TRUCK
    assert (other["semantic"][was_truck] == BUS).all()


def test_the_strip_at_the_curb_is_a_toss_that_the_image_does_not_show(scenes, monkeypatch):
    monkeypatch.setattr(streets_examples, "ROAD_OR_SIDEWALK", (0, 0))
    changed = 0
    for number, example in enumerate(scenes[:12]):
        other = scene(number)
        np.testing.assert_array_equal(other["image"], example["image"])
        differs = other["semantic"] != example["semantic"]
        assert (example["semantic"][differs] == 1).all()
        changed += differs.any()
    assert 1 <= changed < 12


def test_what_is_nearer_is_larger_and_covers_what_is_farther():
    canvas = Canvas(horizon=24, vanishing=64)
    canvas.face((-4, 0), (20, 20), (0, 2), (10, 10, 10), CAR, car=1)
    canvas.face((-1, 1), (10, 10), (0, 2), (90, 90, 90), CAR, car=2)
    image, _, cars = canvas.arrays()
    height = {number: np.ptp(np.nonzero(cars == number)[0]) + 1 for number in (1, 2)}
    assert abs(height[2] / height[1] - 2) < 0.2  # two metres high, seen from half as far away
    assert cars[30, 60] == 2  # both are there
    assert image[30, 60, 0] > image[30, 45, 0]
    assert cars[30, 45] == 1


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="no split 'dev'"):
        next(phantom_examples("dev"))


def test_the_data_set_is_built_and_says_that_it_is_generated(tmp_path, monkeypatch):
    for split in SCENES:
        monkeypatch.setitem(SCENES, split, 2)
    catalogue = pytest.importorskip("hpunet_jax.data.catalogue")
    from hpunet_jax.data import pipeline

    builder = catalogue.find_builder("streets_phantom", tmp_path)
    builder.download_and_prepare()
    assert "GENERATED" in builder.info.description
    (batch,) = pipeline.eval_batches(builder, split="test", batch_size=2)
    for name, array in scene(5).items():
        np.testing.assert_array_equal(batch[name][1], array)
