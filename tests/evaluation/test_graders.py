import csv

import jax
import numpy as np
import pytest

from hpunet_jax.evaluation import graders
from hpunet_jax.evaluation.per_image import image_scores, write_image_scores
from hpunet_jax.evaluation.report import markdown_table, results_table
from hpunet_jax.evaluation.scores import load_scores
from hpunet_jax.inference import Model
from hpunet_jax.labels import IGNORED
from hpunet_jax.metrics.iou import iou
from hpunet_jax.networks import build_network

CROP = (12, 12)
AGREEMENT = [
    *("ged2", "hungarian_iou", "ged2_without_self_pairs"),
    *("to_graders", "among_samples", "among_graders"),
    *("best_of_n", "matched_dice", "confidence", "brier", "uncertainty_correlation"),
]
OF_DIFFERENT_SAMPLES = ("ged2_without_self_pairs", "confidence")


class Discs:
    """Samples discs of random radius around the middle; reconstructs all but the first column."""

    def __init__(self, num_classes=2):
        self.num_classes = num_classes
        self.calls = []

    def sample(self, images, num_samples, seed, *, probabilities):
        assert probabilities
        self.calls.append((len(images), seed))
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[: images.shape[1], : images.shape[2]] - 5.5
        radius = rng.uniform(0, 6, (num_samples, len(images), 1, 1))
        inside = np.hypot(y, x) < radius
        label = inside * rng.integers(1, self.num_classes, radius.shape)
        return np.eye(self.num_classes, dtype=np.float32)[label]

    def reconstruct(self, images, labels):
        assert labels.shape == images.shape[:3]
        assert labels.max() < self.num_classes
        rebuilt = labels.copy()
        rebuilt[:, :, 0] = 0
        return rebuilt


def batches_of(images, masks, size):
    for start in range(0, len(images), size):
        yield {"image": images[start : start + size], "masks": masks[start : start + size]}


@pytest.fixture
def data():
    """Seven images of 16x16 with four gradings; images 2 and 5 have empty ones."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:16, :16] - 7.5
    masks = np.hypot(y, x)[None, ..., None] < rng.uniform(2, 5, (7, 1, 1, 4))
    masks[2, ..., 1] = masks[5, ..., :3] = False
    return rng.integers(0, 255, (7, 16, 16, 1), dtype=np.uint8), masks.astype(np.uint8)


def evaluate(data, model=None, size=3, **options):
    return graders.evaluate(model or Discs(), batches_of(*data, size), crop=CROP, **options)


def test_every_row_has_a_score_for_each_image(data):
    scores = evaluate(data)
    assert list(scores.rows) == ["model", "human", "thresholded_mean", "independent_pixels"]
    for row, metrics in scores.rows.items():
        rebuilt = ["reconstruction_iou"] if row == "model" else []
        expected = ["ged2", "hungarian_iou", "matched_dice"] if row == "human" else AGREEMENT
        assert list(metrics) == [*expected, *rebuilt]
        for metric, values in metrics.items():
            assert values.shape == (7,)
            one = row == "thresholded_mean" and metric in OF_DIFFERENT_SAMPLES
            assert (np.isnan(values) if one else np.isfinite(values)).all()
    assert scores.settings == {"num_samples": 16, "seed": 0, "crop": [12, 12]}


def test_subset_b_holds_the_images_that_every_grader_marked(data):
    np.testing.assert_array_equal(evaluate(data).subset_b, [1, 1, 0, 1, 1, 0, 1])


def test_reconstruction_is_averaged_over_the_gradings(data):
    scores = evaluate(data)
    cropped = data[1][:, 2:-2, 2:-2]
    rebuilt = cropped.copy()
    rebuilt[:, :, 0] = 0
    expected = np.mean([iou(rebuilt[..., g], cropped[..., g]) for g in range(4)], axis=0)
    np.testing.assert_allclose(scores.rows["model"]["reconstruction_iou"], expected)


def test_a_model_that_repeats_the_graders_is_perfect(data):
    cropped = data[1][:, 2:-2, 2:-2]

    class Oracle(Discs):
        def sample(self, images, num_samples, seed, *, probabilities):
            labels = np.moveaxis(cropped, -1, 0)[np.arange(num_samples) % 4]
            return np.eye(2)[labels]

    scores = evaluate(data, Oracle(), size=7).rows
    np.testing.assert_allclose(scores["model"]["ged2"], 0, atol=1e-12)
    np.testing.assert_allclose(scores["model"]["hungarian_iou"], 1)
    for row in ("thresholded_mean", "independent_pixels"):
        assert scores[row]["ged2"].mean() > 0.05
        assert scores[row]["hungarian_iou"].mean() < 0.95


def test_the_last_batch_is_filled_up_and_its_filling_not_scored(data):
    model = Discs()
    scores = evaluate(data, model, size=3)
    assert [size for size, _ in model.calls] == [3, 3, 3]
    assert len(scores.subset_b) == 7
    assert len({seed for _, seed in model.calls}) == 3
    assert all(0 <= seed < 2**31 for _, seed in model.calls)


def test_a_seed_gives_the_same_scores_again(data):
    first, again, other = (evaluate(data, seed=seed).rows for seed in (1, 1, 2))
    for row in first:
        np.testing.assert_equal(dict(first[row]), dict(again[row]))
    assert (first["model"]["ged2"] != other["model"]["ged2"]).any()
    np.testing.assert_array_equal(first["human"]["ged2"], other["human"]["ged2"])


def test_a_grader_who_did_not_annotate_an_image_never_counts(data):
    images, masks = data
    fewer = masks[..., :3]
    absent = masks.copy()
    absent[..., 3] = IGNORED
    expected, result = evaluate((images, fewer)), evaluate((images, absent))
    np.testing.assert_array_equal(result.subset_b, expected.subset_b)
    for row, metrics in expected.rows.items():
        for metric, values in metrics.items():
            np.testing.assert_allclose(result.rows[row][metric], values, err_msg=f"{row} {metric}")


def test_ignored_pixels_never_count(data):
    images, masks = data
    masks = masks.copy()
    masks[:, :, :6] = IGNORED
    scribbled = evaluate((images, masks)).rows["human"]
    masks[:, :, :6] = 0  # nobody marks these columns: the same agreement among graders
    np.testing.assert_allclose(scribbled["ged2"], evaluate((images, masks)).rows["human"]["ged2"])


class Echo(Discs):
    """Samples what the image's channels hold but the first, which changes its reconstructions."""

    def sample(self, images, num_samples, seed, *, probabilities):
        labels = np.moveaxis(images[..., 1:], -1, 0)
        return np.eye(self.num_classes)[labels[np.arange(num_samples) % len(labels)]]

    def reconstruct(self, images, labels):
        return np.where(images[..., 0] == KEEP, labels, images[..., 0])


KEEP = 9


def echoed(maps, rebuilt=None):
    """Images for `Echo` of label maps [B, H, W, N]."""
    rebuilt = np.full(maps[..., :1].shape, KEEP) if rebuilt is None else rebuilt
    return np.concatenate([rebuilt, maps], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("common", [True, False])
@pytest.mark.parametrize("right", [True, False])
def test_noise_in_ignored_pixels_changes_no_score_of_any_row(common, right):
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 3, (6, 16, 16, 4)).astype(np.uint8)
    ignored = rng.random(maps.shape) < 0.1
    ignored[:, :4] = True  # padding
    ignored[:] = ignored.any(axis=-1, keepdims=True) if common else ignored
    masks = np.where(ignored, IGNORED, maps)
    samples = maps if right else (maps + 1) % 3
    anywhere = ignored.any(axis=-1, keepdims=True)

    def scores():
        noise, rebuilt = rng.integers(0, 3, (2, *maps.shape))
        images = echoed(
            np.where(anywhere, noise, samples), np.where(anywhere, rebuilt[..., :1], KEEP)
        )
        frequencies = np.full((12, 12, 3), 1 / 3)
        return evaluate((images, masks), Echo(3), num_samples=4, training_frequencies=frequencies)

    first, second = scores(), scores()
    if right:
        np.testing.assert_allclose(first.rows["model"]["ged2"], 0, atol=1e-12)
        np.testing.assert_allclose(first.rows["model"]["hungarian_iou"], 1)
        np.testing.assert_allclose(first.rows["model"]["reconstruction_iou"], 1)
    else:
        assert (first.rows["model"]["ged2"] > 0.1).all()
    np.testing.assert_array_equal(first.subset_b, second.subset_b)
    for tables in ((first.rows, second.rows), (first.of_class[2], second.of_class[2])):
        for row in tables[0]:
            for metric, values in tables[0][row].items():
                np.testing.assert_array_equal(values, tables[1][row][metric], f"{row} {metric}")


def test_the_model_is_scored_by_several_numbers_of_its_samples_at_once(data, tmp_path):
    masks = data[1]
    images = echoed(np.roll(masks, 3, axis=2))
    scores = evaluate((images, masks), Echo(2), num_samples=3, numbers=(1, 2, 8))
    assert list(scores.by_number) == [1, 2, 8]
    for number, metrics in scores.by_number.items():
        alone = evaluate((images, masks), Echo(2), num_samples=number).rows["model"]
        for metric in ("ged2", "hungarian_iou"):
            np.testing.assert_allclose(metrics[metric], alone[metric])
        to_graders, samples, graders_ = (
            metrics[name] for name in ("to_graders", "among_samples", "among_graders")
        )
        np.testing.assert_allclose(metrics["ged2"], 2 * to_graders - samples - graders_)
        if number > 1:
            without = 2 * to_graders - samples * number / (number - 1) - graders_
            np.testing.assert_allclose(metrics["ged2_without_self_pairs"], without)
    assert np.isnan(scores.by_number[1]["ged2_without_self_pairs"]).all()
    scores.save(tmp_path / "scores.npz")
    summary = load_scores(tmp_path / "scores.npz").summary(10)
    assert summary == scores.summary(10)
    assert list(summary["numbers_of_samples"]) == ["1", "2", "8"]
    assert "number of samples" in results_table(summary)
    assert "GED² too large by E[d(S, S')]/N" in markdown_table(summary)


def test_an_image_without_a_pixel_to_score_has_no_score_and_stays_out_of_the_means(data):
    images, masks = data
    masks = masks.copy()
    masks[3] = IGNORED  # no grader
    masks[4, :, :8, 0], masks[4, :, 8:, 1] = IGNORED, IGNORED  # no pixel that both annotated
    scores = evaluate((images, masks))
    for row, metrics in scores.rows.items():
        for metric, values in metrics.items():
            if row != "thresholded_mean" or metric not in OF_DIFFERENT_SAMPLES:
                np.testing.assert_array_equal(np.isnan(values), [0, 0, 0, 1, 1, 0, 0], metric)
    assert not scores.subset_b[[3, 4]].any()
    summary = scores.summary(10)
    assert summary["counts"] == {"images": 5, "without_score": 2, "runs": 1, "subset_b": 3}
    kept = np.delete(scores.rows["model"]["ged2"], [3, 4])
    assert summary["model"]["ged2"]["mean"] == pytest.approx(kept.mean())
    assert "images" not in summary["model"]["ged2"]


def test_classes_that_an_image_lacks_do_not_make_a_wrong_map_look_good():
    masks = np.ones((2, 16, 16, 2), np.uint8)

    images = echoed(2 * masks)
    model = evaluate((images, masks), Echo(10)).rows["model"]
    np.testing.assert_array_equal(model["hungarian_iou"], 0)
    np.testing.assert_array_equal(model["ged2"], 2)
    model = evaluate((images, masks), Echo(10), absent="one").rows["model"]
    np.testing.assert_allclose(model["hungarian_iou"], 7 / 9)


@pytest.mark.parametrize("absent", ["one", "nan"])
def test_each_class_is_scored_as_if_it_were_the_only_one(data, absent):
    masks = data[1] * np.array([1, 2, 1, 2], np.uint8)
    masks[4] = masks[4] > 0  # class 1 alone
    samples = masks[..., [1, 2, 0]].swapaxes(1, 2)
    scores = evaluate((echoed(samples), masks), Echo(3), absent=absent)
    assert list(scores.of_class) == [1, 2]
    for label in (1, 2):
        of_label = (echoed(samples == label), (masks == label).astype(np.uint8))
        alone = evaluate(of_label, Echo(2)).rows
        occurs = (masks[:, 2:-2, 2:-2] == label).any(axis=(1, 2, 3))
        shown = occurs | (absent == "one")
        for row in ("model", "human"):
            for metric, values in scores.of_class[label][row].items():
                np.testing.assert_allclose(values[shown], alone[row][metric][shown])
                assert np.isnan(values[~shown]).all()
    summary = scores.summary(10)
    assert list(summary["classes"]) == ["1", "2"]
    assert summary["classes"]["2"]["model"]["ged2"].get("images", 7) == (
        7 if absent == "one" else 6
    )
    assert f"class 2 ({7 if absent == 'one' else 6} images)" in results_table(summary)
    assert f"| class 2 ({7 if absent == 'one' else 6} images) |" in markdown_table(summary)


def test_several_foreground_classes_are_averaged(data):
    images, masks = data
    masks = masks * np.array([1, 2, 1, 2], np.uint8)
    scores = evaluate((images, masks), Discs(num_classes=3), absent="one").rows
    expected = []
    for image in masks[:, 2:-2, 2:-2]:
        pairs = [
            np.mean([iou(image[None, ..., a] == c, image[None, ..., b] == c)[0] for c in (1, 2)])
            for a in range(4)
            for b in range(4)
            if a != b
        ]
        expected.append(np.mean(pairs))
    np.testing.assert_allclose(scores["human"]["hungarian_iou"], expected)
    assert np.isfinite(scores["independent_pixels"]["ged2"]).all()


def test_the_training_marginal_is_a_row_if_its_frequencies_are_given(data):
    frequencies = graders.class_frequencies(batches_of(*data, 3), crop=CROP, num_classes=2)
    np.testing.assert_allclose(frequencies[..., 1], data[1][:, 2:-2, 2:-2].mean(axis=(0, 3)))
    np.testing.assert_allclose(frequencies.sum(axis=-1), 1)
    rows = evaluate(data, training_frequencies=frequencies).rows
    assert list(rows)[2:] == ["thresholded_mean", "training_marginal", "independent_pixels"]
    labels = (frequencies[..., 1] > 0.5)[None]
    cropped = data[1][:, 2:-2, 2:-2]
    expected = np.mean([iou(labels.repeat(7, 0), cropped[..., g]) for g in range(4)], axis=0)
    np.testing.assert_allclose(rows["training_marginal"]["hungarian_iou"], expected)


def test_frequencies_leave_out_what_was_not_annotated(data):
    images, masks = data
    expected = graders.class_frequencies(
        batches_of(images, masks[..., :2], 7), crop=CROP, num_classes=2
    )
    masks = masks.copy()
    masks[..., 2:] = IGNORED
    result = graders.class_frequencies(batches_of(images, masks, 2), crop=CROP, num_classes=2)
    np.testing.assert_allclose(result, expected)


def test_a_real_network_gives_an_image_the_same_scores_in_any_batch(data, tiny_config):
    network = build_network(tiny_config.model)
    model = Model(network, network.init(jax.random.key(0)), tiny_config)
    one, other = (
        graders.evaluate(model, batches_of(*data, size), crop=(16, 16), num_samples=2)
        for size in (4, 3)
    )
    for row, metrics in one.rows.items():
        for metric, values in metrics.items():
            assert values.shape == (7,)
            one_sample = row == "thresholded_mean" and metric in OF_DIFFERENT_SAMPLES
            assert (np.isnan(values) if one_sample else np.isfinite(values)).all()
            np.testing.assert_allclose(other.rows[row][metric], values, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda images, masks: (images[:, :10], masks[:, :10]), "smaller than the crop of 12x12"),
        (lambda images, masks: (images, masks * 2), "image 0 have the class 2"),
        (
            lambda images, masks: (images, np.full_like(masks, IGNORED)),
            "no image has a pixel to be",
        ),
        (lambda images, masks: (images[:0], masks[:0]), "the split is empty"),
    ],
)
def test_data_that_cannot_be_evaluated_is_named(data, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        evaluate(change(*data)).check_scored()


def test_frequencies_of_another_crop_are_refused(data):
    with pytest.raises(ValueError, match=r"expected \(12, 12, 2\)"):
        evaluate(data, training_frequencies=np.zeros((16, 16, 2)))


def test_calibration_and_the_risk_of_confident_images_are_scores_of_the_data_set(data, tmp_path):
    scores = evaluate(data, num_samples=4)
    scores.save(tmp_path / "scores.npz")
    loaded = load_scores(tmp_path / "scores.npz")
    assert list(loaded.levels) == ["model", "thresholded_mean", "independent_pixels"]
    summary = loaded.summary(10)
    assert summary == scores.summary(10)
    assert summary["model"]["expected_calibration_error"]["mean"] > 0
    assert summary["model"]["risk_coverage_area"]["mean"] > 0
    assert summary["thresholded_mean"]["risk_coverage_area"]["mean"] is None  # a single sample
    assert summary["counts"]["images"] == 7
    for table in (results_table(summary), markdown_table(summary)):
        for word in ("ECE ↓", "Brier ↓", "NCC ↑", "AURC ↓", "best of N (D_max) ↑", "E[d(Y, Y')]"):
            assert word in table

    write_image_scores(
        tmp_path / "scores.csv", image_scores(loaded), [f"image {n}" for n in range(7)]
    )
    with (tmp_path / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [f"image {n}" for n in range(7)]
    for metric in ("ged2", "brier", "expected_calibration_error"):
        values = [float(row[metric]) for row in rows]
        np.testing.assert_array_equal(values, image_scores(scores)[metric])
