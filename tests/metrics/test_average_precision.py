import copy

import numpy as np
import pytest
from cityscapesscripts.evaluation import evalInstanceLevelSemanticLabeling as official
from cityscapesscripts.evaluation.instances2dict import instances2dict
from PIL import Image

from hpunet_jax.metrics.average_precision import (
    OVERLAPS,
    Detections,
    average_precision,
    estimate_average_precision,
    join,
    match,
)
from hpunet_jax.metrics.bootstrap import bootstrap_counts

CAR, ROAD, OUT_OF_ROI = 26, 7, 3


def scene(rng, size=(48, 96)):
    """Overlapping rectangles of cars, a group and void; predictions that are near to them."""
    ids = np.full(size, ROAD, np.int32)
    ids[:6] = OUT_OF_ROI
    predicted = np.zeros(size, int)

    def box(height, width):
        y, x = rng.integers(0, size[0] - 4), rng.integers(0, size[1] - 4)
        return np.s_[y : y + height, x : x + width], (y, x, height, width)

    for car in range(rng.integers(0, 9)):
        where, (y, x, h, w) = box(*rng.integers(3, 24, 2))
        ids[where] = 1000 * CAR + car
        if rng.random() < 0.8:
            y, x, h, w = np.maximum(np.add((y, x, h, w), rng.integers(-2, 3, 4)), (0, 0, 1, 1))
            predicted[y : y + h, x : x + w] = 1 + car
    for group in rng.integers(0, 2, 2):
        if group:
            where, _ = box(*rng.integers(3, 20, 2))
            ids[where] = CAR
            if rng.random() < 0.7:
                predicted[where] = 50
    for extra in range(rng.integers(0, 4)):
        predicted[box(*rng.integers(2, 15, 2))[0]] = 100 + extra
    count = (np.unique(predicted) != 0).sum()
    return ids, predicted, rng.choice(np.linspace(0.1, 1, 12), count)  # some scores are equal


def official_precision(scenes, folder, monkeypatch, min_region):
    """The official script's average precision of cars, from files in its format."""
    monkeypatch.setattr(np, "in1d", np.isin, raising=False)  # NumPy has renamed it
    truths, lists = [], []
    for number, (ids, predicted, scores) in enumerate(scenes):
        name = f"ulm_000000_{number:06d}"
        truths.append(str(folder / f"{name}_gtFine_instanceIds.png"))
        Image.fromarray(ids.astype(np.uint16)).save(truths[-1])
        lines = []
        for score, instance in zip(scores, np.unique(predicted[predicted != 0]), strict=True):
            mask = f"{name}_{instance}.png"
            Image.fromarray(np.uint8(255) * (predicted == instance)).save(folder / mask)
            lines.append(f"{mask} {CAR} {score:.17g}")
        lists.append(str(folder / f"{name}.txt"))
        (folder / f"{name}.txt").write_text("\n".join(lines))
    args = copy.copy(official.args)
    args.quiet, args.predictionPath = True, str(folder)
    args.minRegionSizes = np.array([min_region, 1000, 1000])
    official.setInstanceLabels(args)
    matches = official.matchGtWithPreds(lists, truths, instances2dict(truths, False), args)
    result = official.evaluateMatches(matches, args)
    return result[0, args.instLabels.index("car")]


def matched(ids, predicted, scores, min_region=100):
    return match(
        predicted,
        scores,
        np.where(ids >= 1000, ids, 0),
        groups=ids == CAR,
        void=ids == OUT_OF_ROI,
        min_region=min_region,
    )


@pytest.mark.parametrize(("seed", "min_region"), [(0, 100), (1, 100), (2, 20), (3, 300), (4, 1)])
def test_agrees_with_the_official_evaluation_of_files(tmp_path, monkeypatch, seed, min_region):
    rng = np.random.default_rng(seed)
    scenes = [scene(rng) for _ in range(12)]
    expected = official_precision(scenes, tmp_path, monkeypatch, min_region)
    result = average_precision(join([matched(*one, min_region) for one in scenes]))
    assert 0.05 < expected[0] < 0.95
    assert len(set(expected)) > 4
    np.testing.assert_allclose(result, expected, atol=1e-12)


def test_the_overlaps_are_the_official_ones():
    np.testing.assert_array_equal(OVERLAPS, official.args.overlaps)
    assert len(OVERLAPS) == 10


def cars(*boxes, size=(40, 80)):
    result = np.zeros(size, int)
    for number, box in enumerate(boxes):
        result[box] = number + 1
    return result


def test_perfect_instances_have_the_greatest_precision():
    truth = cars(np.s_[:20, :20], np.s_[20:, 40:])
    detections = match(truth * 7, np.array([0.2, 0.9]), truth)
    assert (average_precision(detections) == 1).all()


def test_a_match_must_exceed_the_overlap():
    truth, predicted = cars(np.s_[:20, :20]), cars(np.s_[:20, :10])
    assert (match(predicted, [1.0], truth).outcome == 0).all()  # an IoU of exactly 0.5
    predicted = cars(np.s_[:20, :15])
    np.testing.assert_array_equal(match(predicted, [1.0], truth).outcome[0], OVERLAPS < 0.75 - 1e-9)


def test_a_worse_score_for_false_positives_is_better():
    truth = cars(np.s_[:20, :20])
    predicted = cars(np.s_[:20, :20], np.s_[30:, 30:])
    low = average_precision(match(predicted, [0.9, 0.1], truth))
    high = average_precision(match(predicted, [0.1, 0.9], truth))
    np.testing.assert_allclose(low, 1)
    np.testing.assert_allclose(high, 0.25)  # precision 0 up to recall 0, then 1/2 at recall 1


def test_without_objects_or_matches():
    nothing, some = np.zeros((40, 80), int), cars(np.s_[:20, :20])
    assert np.isnan(average_precision(match(some, [0.5], nothing))).all()
    assert (average_precision(match(nothing, [], some)) == 0).all()
    assert (average_precision(match(cars(np.s_[30:, 30:]), [0.5], some)) == 0).all()


def test_objects_too_small_groups_and_void_are_left_out():
    truth = cars(np.s_[:20, :20], np.s_[30:35, 30:35])
    groups, void = np.zeros(truth.shape, bool), np.zeros(truth.shape, bool)
    groups[:10, 60:], void[25:, 60:] = True, True
    predicted = cars(np.s_[:20, :20], np.s_[30:35, 30:35], np.s_[:10, 60:], np.s_[25:, 60:])
    detections = match(predicted, np.ones(4), truth, groups=groups, void=void)
    np.testing.assert_array_equal(detections.num_objects, [1])
    np.testing.assert_array_equal(detections.outcome[:, 0], [1, -1, -1, -1])
    assert (average_precision(detections) == 1).all()


def some_detections(seed, images=9):
    rng = np.random.default_rng(seed)
    return join([matched(*scene(rng), min_region=20) for _ in range(images)])


def repeated(detections, counts):
    """The same, each image as often as counted, without the others."""
    parts = []
    for image, count in enumerate(counts):
        inside = detections.image == image
        one = Detections(
            np.zeros(inside.sum(), int),
            detections.score[inside],
            detections.outcome[inside],
            detections.num_objects[image : image + 1],
        )
        parts += [one] * count
    return join(parts)


def test_counting_images_is_repeating_them():
    detections = some_detections(0)
    counts = bootstrap_counts(9, 20, seed=3)
    expected = [average_precision(repeated(detections, row)) for row in counts]
    np.testing.assert_allclose(average_precision(detections, counts), expected, atol=1e-12)


def test_the_estimate_is_the_precision_of_all_images_and_its_bootstrapped_deviation():
    runs = [some_detections(0), some_detections(1)]
    estimates = estimate_average_precision(runs, num_bootstraps=50, seed=2)
    of_all = np.stack([average_precision(run) for run in runs])
    drawn = np.concatenate([average_precision(run, bootstrap_counts(9, 50, 2)) for run in runs])
    assert list(estimates) == ["average_precision", "average_precision_50"]
    for name, values, std in (
        ("average_precision", of_all, drawn.mean(axis=1).std()),
        ("average_precision_50", of_all[:, :1], drawn[:, 0].std()),
    ):
        assert estimates[name].mean == pytest.approx(values.mean())
        assert estimates[name].std == pytest.approx(std)
        assert estimates[name].num_images == 9


def test_a_large_bootstrap_is_computed_in_parts(monkeypatch):
    detections = some_detections(0)
    expected = estimate_average_precision([detections], 50)
    monkeypatch.setattr("hpunet_jax.metrics.average_precision._CHUNK", 100)
    assert estimate_average_precision([detections], 50) == expected


def test_maps_and_scores_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="maps have the shapes"):
        match(np.zeros((4, 4), int), [], np.zeros((4, 5), int))
    with pytest.raises(ValueError, match="1 instances"):
        match(np.ones((4, 4), int), [], np.zeros((4, 4), int))
    with pytest.raises(ValueError, match="scores hold NaN"):
        match(np.ones((4, 4), int), [np.nan], np.zeros((4, 4), int))
