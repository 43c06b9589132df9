import itertools
import json

import jax
import ml_collections
import numpy as np
import pytest

from hpunet_jax.evaluation import instances, protocols
from hpunet_jax.evaluation.instance_rows import paint
from hpunet_jax.evaluation.scores import load_scores
from hpunet_jax.evaluation.truths import truth_of_cars, truth_of_instances
from hpunet_jax.inference import Model
from hpunet_jax.inference.segment import SegmentOptions
from hpunet_jax.metrics.average_precision import average_precision
from hpunet_jax.metrics.iou import iou
from hpunet_jax.networks import build_network

ROWS = ["model", "marginal_components", "sample_components"]
NUM_IDS = 3
SIZE, CROP = (20, 28), (16, 24)
# A row of two touching cells, a membrane, and a third cell.
CELLS = np.kron([[1, 1, 2, 2, 0, 3, 3], [1, 1, 2, 2, 0, 3, 3]], np.ones((10, 4), int))
OPTIONS = SegmentOptions(num_samples=8, threshold=4, erosion=3, neighbourhood=5)


class Colouring:
    """Sees the ids of instances in the image's first channel, and gives each a random label."""

    def __init__(self, first=1, num_classes=NUM_IDS + 1, sure=0.9):
        self.first, self.num_classes, self.sure = first, num_classes, sure
        self.calls, self.reconstructed = [], []

    def sample(self, images, num_samples, seed, *, probabilities):
        assert probabilities
        self.calls.append((len(images), seed))
        draws = np.random.default_rng(seed).integers(NUM_IDS, size=(num_samples, len(images), 256))
        ids = images[..., 0].astype(int)
        table = self.first + np.take_along_axis(
            draws, ids.reshape(1, len(images), -1), axis=2
        ).reshape(num_samples, *ids.shape)
        labels = np.where(ids == 0, self.other(images, draws), table)
        rest = (1 - self.sure) / (self.num_classes - 1)
        return np.where(np.eye(self.num_classes, dtype=bool)[labels], self.sure, rest)

    def other(self, images, draws):
        return 0

    def reconstruct(self, images, labels):
        self.reconstructed.append(labels)
        return labels


def batches_of(size, **arrays):
    for start in range(0, len(arrays["image"]), size):
        yield {name: array[start : start + size] for name, array in arrays.items()}


def neurites(count=5):
    instances = np.stack([np.roll(CELLS, 3 * i, axis=1) for i in range(count)]).astype(np.uint16)
    return {"image": instances[..., None].astype(np.uint8), "instances": instances * 7}


def streets(count=5):
    cars = np.stack([np.roll(CELLS, 3 * i, axis=1) for i in range(count)]).astype(np.uint16)
    semantic = np.where(cars > 0, 13, 0).astype(np.uint8)
    image = np.repeat(cars[..., None], 3, axis=-1).astype(np.uint8)
    return {"image": image, "semantic": semantic, "cars": cars}


def score_neurites(examples, model=None, size=2, options=OPTIONS, **changes):
    arguments = {"crop": CROP, "num_ids": NUM_IDS, **changes}
    batches = batches_of(size, **examples)
    return instances.evaluate(
        model or Colouring(), batches, truth_of_instances, options, **arguments
    )


def score_streets(examples, model=None, size=2, options=OPTIONS, **changes):
    arguments = {"crop": CROP, "num_ids": NUM_IDS, "min_region": 25, **changes}
    model = model or Colouring(first=13, num_classes=NUM_IDS + 18)
    batches = batches_of(size, **examples)
    return instances.evaluate(model, batches, truth_of_cars, options, **arguments)


def test_every_row_has_a_score_for_each_image():
    scores = score_neurites(neurites())
    assert list(scores.rows) == ROWS
    for metrics in scores.rows.values():
        assert list(metrics) == ["reconstruction_iou", "rand_error"]
        for values in metrics.values():
            assert values.shape == (5,)
            assert np.isfinite(values).all()
    assert scores.num_images == 5
    assert scores.subset_b is None
    assert not scores.detections
    assert scores.settings["num_samples"] == 8
    assert scores.settings["crop"] == [16, 24]
    json.dumps(scores.settings)


def test_whole_images_of_several_sizes_are_scored_one_by_one():
    examples = neurites(3)
    smaller = {name: maps[:1, :17, :9] for name, maps in examples.items()}
    batches = [{n: maps[i : i + 1] for n, maps in examples.items()} for i in range(3)]
    arguments = {"crop": None, "num_ids": NUM_IDS, "tile": (64, 64)}
    batches = [*batches, smaller]
    scores = instances.evaluate(Colouring(), batches, truth_of_instances, OPTIONS, **arguments)
    assert scores.num_images == 4
    assert scores.settings["tile"] == [64, 64]
    errors = scores.rows["model"]["rand_error"]
    np.testing.assert_allclose(errors[:3], 0, atol=1e-9)  # the smaller image cuts cells to slivers
    assert 0 <= errors[3] < 0.5


def test_clustering_tells_touching_cells_apart_and_components_do_not():
    rows = score_neurites(neurites()).rows
    np.testing.assert_allclose(rows["model"]["rand_error"], 0, atol=1e-9)
    np.testing.assert_allclose(rows["model"]["reconstruction_iou"], 1)
    assert (rows["marginal_components"]["rand_error"] > 0.1).all()
    assert (rows["marginal_components"]["reconstruction_iou"] <= 1).all()
    assert rows["sample_components"]["rand_error"].mean() > 0.03


def test_whole_images_of_any_size_are_scored_as_a_crop_of_all_of_them():
    of_crops = score_neurites(neurites(), size=1, crop=SIZE, min_region=25)
    whole = score_neurites(neurites(), size=1, crop=None, min_region=25, tile=(512, 512))
    for row, metrics in of_crops.rows.items():
        for metric, values in metrics.items():
            np.testing.assert_array_equal(whole.rows[row][metric], values)
        np.testing.assert_equal(
            average_precision(whole.detections[row]), average_precision(of_crops.detections[row])
        )
    assert whole.settings["tile"] == [512, 512]
    assert "crop" not in whole.settings


def test_where_membranes_lie_between_all_cells_components_are_as_good():
    examples = neurites(1)
    for maps in examples.values():
        maps[:, :, 7:9] = 0
    for metrics in score_neurites(examples).rows.values():
        np.testing.assert_allclose(metrics["rand_error"], 0, atol=1e-9)
        np.testing.assert_allclose(metrics["reconstruction_iou"], 1)


def test_reconstruction_is_scored_over_the_classes_that_occur():
    class Forgetful(Colouring):
        def reconstruct(self, images, labels):
            super().reconstruct(images, labels)
            return np.where(labels == 1, 2, labels)

    model = Forgetful()
    scored = score_neurites(neurites(), model, size=5).rows["model"]["reconstruction_iou"]
    (target,) = model.reconstructed
    expected = []
    for true in target:
        built, of_classes = np.where(true == 1, 2, true), []
        for label in range(1, NUM_IDS + 1):
            a, b = built == label, true == label
            if (a | b).any():
                of_classes.append((a & b).sum() / (a | b).sum())
        expected.append(np.mean(of_classes))
    np.testing.assert_allclose(scored, expected)
    assert min(expected) < 0.6


def test_each_image_has_random_labels_of_its_own_that_the_seed_repeats():
    targets = []
    for seed, size in ((0, 5), (0, 2), (1, 5)):
        model = Colouring()
        options = SegmentOptions(num_samples=8, threshold=4, seed=seed)
        score_neurites(neurites(), model, size, options)
        targets.append(np.concatenate(model.reconstructed)[:5])
    np.testing.assert_array_equal(targets[0], targets[1])
    assert (targets[0] != targets[2]).any()
    tables = {tuple(np.unique(target[target > 0])) for target in targets[0]}
    assert len(tables) > 1


def test_the_last_batch_is_filled_up_and_its_filling_not_scored():
    model = Colouring()
    scores = score_neurites(neurites(), model, size=2)
    assert [size for size, _ in model.calls] == [2, 2, 2]
    assert len({seed for _, seed in model.calls}) == 3
    assert scores.num_images == 5


def test_an_image_without_foreground_has_no_score_and_stays_out_of_the_mean():
    examples = neurites(3)
    examples["image"][1], examples["instances"][1] = 0, 0
    scores = score_neurites(examples)
    for row in ROWS:
        for metric in ("rand_error", "reconstruction_iou"):
            np.testing.assert_array_equal(np.isnan(scores.rows[row][metric]), [0, 1, 0])
    assert scores.summary()["model"]["rand_error"]["mean"] == pytest.approx(0, abs=1e-9)


def test_cars_also_have_an_average_precision():
    scores = score_streets(streets())
    assert list(scores.detections) == ROWS
    assert (average_precision(scores.detections["model"]) == 1).all()
    summary = scores.summary(100)
    assert list(summary["model"]) == [
        "reconstruction_iou",
        "rand_error",
        "average_precision",
        "average_precision_50",
    ]
    assert summary["model"]["average_precision"] == {"mean": 1.0, "std": 0.0}
    assert summary["marginal_components"]["average_precision"]["mean"] < 0.7
    np.testing.assert_allclose(scores.rows["model"]["rand_error"], 0, atol=1e-9)


def test_the_confidence_is_the_mean_softmax_of_all_car_classes():
    model = Colouring(first=13, num_classes=NUM_IDS + 18, sure=0.8)
    detections = score_streets(streets(), model).detections["model"]
    np.testing.assert_allclose(detections.score, 0.8 + (NUM_IDS - 1) * 0.2 / (NUM_IDS + 17))


def test_flips_of_other_classes_make_no_instances():
    class Flipping(Colouring):
        def other(self, images, draws):
            return draws[:, :, 0, None, None] % 2  # road or sidewalk

    model = Flipping(first=13, num_classes=NUM_IDS + 18)
    detections = score_streets(streets(), model).detections["model"]
    assert len(detections.score) == detections.num_objects.sum()


def test_groups_and_void_are_not_scored():
    examples = streets()
    examples["semantic"][:, :, -8:] = 255
    examples["cars"][:, :6, :8] = 0  # cars without a number

    class Scribbling(Colouring):
        """Wrong wherever nobody looks."""

        def reconstruct(self, images, labels):
            super().reconstruct(images, labels)
            wrong = labels.copy()
            wrong[:, :, -6:] = 14
            wrong[:, :4, :6] = 14
            return wrong

    first = {name: array[:1] for name, array in examples.items()}
    model = Scribbling(first=13, num_classes=NUM_IDS + 18)
    scores = score_streets(first, model)
    np.testing.assert_allclose(scores.rows["model"]["reconstruction_iou"], 1)
    np.testing.assert_allclose(scores.rows["model"]["rand_error"], 0, atol=1e-9)
    assert (model.reconstructed[0][0, :, -6:] == 0).all()
    whole = score_streets({name: array[:1] for name, array in streets().items()})
    left = scores.detections["model"]
    assert left.num_objects < whole.detections["model"].num_objects
    assert (left.outcome[:, 0] != 0).all()


def test_an_instance_is_painted_with_the_label_of_the_object_it_is_matched_with():
    truth = np.array([[5, 5, 5, 8, 8, 0], [5, 5, 5, 8, 8, 0]])
    labels = np.array([[3, 3, 3, 1, 1, 0], [3, 3, 3, 1, 1, 0]])
    shifted = np.array([[0, 7, 7, 7, 2, 2], [0, 7, 7, 7, 2, 2]])
    np.testing.assert_array_equal(paint(shifted, truth, labels)[0], [0, 3, 3, 3, 1, 1])


def test_painting_does_not_make_up_for_splits_and_merges():
    truth = np.array([[5, 5, 5, 8, 8, 0]])
    labels = np.array([[3, 3, 3, 1, 1, 0]])
    merged, split = np.array([[1, 1, 1, 1, 1, 0]]), np.array([[1, 1, 2, 3, 4, 5]])
    np.testing.assert_array_equal(paint(merged, truth, labels), [[3, 3, 3, 3, 3, 0]])
    painted = paint(split, truth, labels)
    np.testing.assert_array_equal(painted[0, [0, 1, 2, 5]], [3, 3, 0, 0])
    assert sorted(painted[0, 3:5]) == [0, 1]


def test_the_matching_has_the_greatest_sum_of_ious():
    rng = np.random.default_rng(0)
    truth = np.kron(rng.permutation(4).reshape(2, 2), np.ones((4, 4), int))
    instances = np.where(rng.random((8, 8)) < 0.5, truth, rng.integers(0, 4, (8, 8)))
    best = max(
        itertools.permutations(range(1, 4)),
        key=lambda order: sum(
            ((instances == i + 1) & (truth == t)).sum()
            / ((instances == i + 1) | (truth == t)).sum()
            for i, t in enumerate(order)
        ),
    )
    np.testing.assert_array_equal(paint(instances, truth, truth), np.array([0, *best])[instances])


def test_without_instances_or_objects_nothing_is_painted():
    some, nothing = np.ones((3, 4), int), np.zeros((3, 4), int)
    assert not paint(nothing, some, some).any()
    assert not paint(some, nothing, nothing).any()


def test_painted_components_are_the_reference_of_the_reconstruction():
    examples, model = neurites(1), Colouring()
    rows = score_neurites(examples, model).rows
    target = model.reconstructed[0][:1]
    foreground = np.where(target > 0, 1, 0)
    foreground[0, :, 16:] *= 2  # the third cell lies beyond the membrane
    painted = paint(foreground[0], examples["instances"][0, 2:-2, 2:-2], target[0])
    expected = iou(painted[None], target, range(1, NUM_IDS + 1), "nan")
    np.testing.assert_allclose(rows["marginal_components"]["reconstruction_iou"], expected)


def config_of(protocol=None, num_ids=NUM_IDS, **evaluation):
    sections = {
        "data": {"crop": CROP, "num_ids": num_ids},
        "evaluation": {"num_samples": 8, "seed": 3, **evaluation},
    }
    if protocol:
        sections["evaluation"]["protocol"] = protocol
    return ml_collections.ConfigDict(sections)


def no_training():
    raise AssertionError("training examples are for LIDC only")


def test_the_config_names_the_protocol(tmp_path):
    config = config_of("snemi3d", hamming_threshold=4, erosion=3, neighbourhood=5)
    scores = protocols.evaluate(Colouring(), config, batches_of(2, **neurites()), no_training)
    expected = score_neurites(neurites(), options=SegmentOptions(8, 4, 3, 5, seed=3))
    np.testing.assert_equal(dict(scores.rows), dict(expected.rows))
    assert scores.settings == expected.settings

    config = config_of("cityscapes", hamming_threshold=4, min_region=30)
    model = Colouring(first=13, num_classes=NUM_IDS + 18)
    scores = protocols.evaluate(model, config, batches_of(2, **streets()), no_training)
    assert scores.settings["no_neighbour"] == "background"
    assert scores.settings["min_region"] == 30
    scores.save(tmp_path / "evaluation.npz")
    read = load_scores(tmp_path / "evaluation.npz")
    assert read.summary(20) == scores.summary(20)
    assert list(read.detections) == ROWS


def test_a_config_without_a_protocol_is_of_several_graders():
    class Graders(Colouring):
        def sample(self, images, num_samples, seed, *, probabilities):
            return np.eye(2)[np.stack([images[..., 0] > 0] * num_samples).astype(int)]

    model = Graders(num_classes=2)
    examples = {"image": neurites()["image"]}
    examples["masks"] = (examples["image"] > 0).astype(np.uint8)
    config = config_of(num_ids=None)
    scores = protocols.evaluate(
        model, config, batches_of(2, **examples), lambda: batches_of(2, **examples)
    )
    assert "training_marginal" in scores.rows
    assert scores.subset_b.all()
    config.evaluation.protocol = "snemi3D"
    with pytest.raises(ValueError, match="'snemi3D': expected one of graders, instances, snemi3d"):
        protocols.evaluate(model, config, [], no_training)


@pytest.mark.parametrize(
    ("score", "sentence"),
    [
        (lambda: score_neurites({"image": []}), "the split is empty"),
        (lambda: score_neurites(neurites(), num_ids=None), "does not tell instances apart"),
        (lambda: score_neurites(neurites(), crop=(40, 40)), "smaller than the crop"),
        (
            lambda: score_neurites(neurites(), Colouring(num_classes=21)),
            "num_classes is 21, but data.num_ids=3 makes 4",
        ),
        (
            lambda: protocols.check_annotations(config_of("snemi3d"), streets()),
            "'snemi3d', which scores `instances`, but .* cars, image, semantic: .* 'cityscapes'",
        ),
        (
            lambda: protocols.check_annotations(config_of("cityscapes"), neurites()),
            "'cityscapes', which scores `semantic`, .* set it to 'instances' or 'snemi3d'",
        ),
        (
            lambda: protocols.check_annotations(config_of(), ["image"]),
            "scores `masks`, .* no protocol fits it",
        ),
    ],
)
def test_examples_that_do_not_fit_are_named(score, sentence):
    with pytest.raises(ValueError, match=sentence):
        score()


def test_a_real_network_can_be_evaluated(tiny_config):
    config = tiny_config.unlock()
    config.model.num_classes = NUM_IDS + 1
    config.data.num_ids = NUM_IDS
    config.data.crop = (16, 16)
    config.evaluation.num_samples = 2
    config.evaluation.hamming_threshold = 2
    config.evaluation.protocol = "snemi3d"
    network = build_network(config.model)
    model = Model(network, network.init(jax.random.key(0)), config)
    scores = protocols.evaluate(model, config, batches_of(4, **neurites()), no_training)
    assert scores.num_images == 5
    assert np.isfinite(scores.rows["model"]["rand_error"]).all()
