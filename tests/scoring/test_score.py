import dataclasses
import json

import numpy as np
import pytest
import SimpleITK as sitk

from hpunet_jax.evaluation import graders
from hpunet_jax.evaluation.per_image import image_scores
from hpunet_jax.evaluation.scores import load_scores, summarize
from hpunet_jax.io import read_volume
from hpunet_jax.io import write_volume as write_like
from hpunet_jax.labels import IGNORED
from hpunet_jax.metrics.average_precision import average_precision, match
from hpunet_jax.metrics.rand_error import adapted_rand_error
from hpunet_jax.scoring.files import FILES, ScoreOptions, score_files
from hpunet_jax.scoring.pairing import pair
from hpunet_jax.scoring.score import check, score_classes
from tests.io.test_volumes import write_series


def run(folder, truth="truth", samples="samples", out="out", **options):
    """Scores folders in a folder; returns the folder of results."""
    paths = (str(folder / path) for path in (truth, samples, out))
    score_files(ScoreOptions(*paths, **options))
    return folder / out


class Recorded:
    """A model whose samples are given, by the order of its images."""

    num_classes = 3

    def __init__(self, samples):
        self.samples = samples  # [N, B, H, W]

    def sample(self, images, num_samples, seed, *, probabilities):
        return np.eye(3, dtype=np.float32)[self.samples[:, images[:, 0, 0, 0]]]

    def reconstruct(self, images, labels):
        return labels


def test_our_own_samples_get_the_numbers_of_evaluate_to_the_last_digit(tmp_path, write):
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (9, 12, 12, 4)).astype(np.uint8)
    masks[rng.random(masks.shape) < 0.05] = IGNORED
    masks[3, ..., 2] = IGNORED  # did not annotate this image
    samples = rng.integers(0, 3, (7, 9, 12, 12)).astype(np.uint8)
    images = np.broadcast_to(np.arange(9, dtype=np.uint8)[:, None, None, None], (9, 12, 12, 1))
    batches = [{"image": images[i : i + 4], "masks": masks[i : i + 4]} for i in (0, 4, 8)]
    ours = graders.evaluate(Recorded(samples), batches, crop=(12, 12), num_samples=7)
    for place in range(9):
        given = [g for g in range(4) if not (masks[place, ..., g] == IGNORED).all()]
        write(tmp_path / "truth", {f"{place}_l{g}": masks[place, ..., g] for g in given})
        write(tmp_path / "samples", {f"{place}_{n}": s[place] for n, s in enumerate(samples)})
    out = run(tmp_path)
    found = load_scores(out / "scores.npz")
    results, expected = json.loads((out / "scores.json").read_text()), ours.summary()
    for row in ("model", "human"):
        for metric, values in found.rows[row].items():
            np.testing.assert_array_equal(values, ours.rows[row][metric], f"{row} {metric}")
            assert results[row][metric] == expected[row][metric]
            assert results["subset_b"][row][metric] == expected["subset_b"][row][metric]
    for metric in ("expected_calibration_error", "adaptive_calibration_error"):
        assert results["model"][metric] == expected["model"][metric]
    assert results["model"]["risk_coverage_area"] == expected["model"]["risk_coverage_area"]
    np.testing.assert_array_equal(found.levels["model"].graded, ours.levels["model"].graded)
    for label in ("1", "2"):
        ours_of_class, of_class = (table["classes"][label] for table in (expected, results))
        assert of_class["human"] == ours_of_class["human"]
        assert of_class["model"].items() <= ours_of_class["model"].items()
    assert results["counts"] == expected["counts"]


def test_the_files_have_every_image_by_name_and_the_report_needs_nothing_else(
    tmp_path, write, discs
):
    for name, (truth, samples) in discs.items():
        write(tmp_path / "truth", {f"{g}/{name}": m for g, m in zip("abc", truth, strict=True)})
        write(tmp_path / "samples", {f"{name}_{n}": m for n, m in enumerate(samples)})
        write(tmp_path / "images", {name: 9 * truth[0]})
    out = run(tmp_path, images=str(tmp_path / "images"), shown=2)
    assert {path.name for path in out.iterdir()} == set(FILES)
    table = (out / "scores.csv").read_text().splitlines()
    assert table[0].startswith("image,ged2,hungarian_iou,")
    assert [line.partition(",")[0] for line in table[1:]] == list(discs)
    assert "E[d(S, S')]/N" in (out / "scores.md").read_text()
    page = (out / "report.html").read_text()
    for word in ("http://", "https://", "<script", "<link", "url("):
        assert word not in page
    for word in ("prefers-color-scheme: dark", "Worst images", "Best images", "<svg", "truth b"):
        assert word in page
    assert page.count('class="card"') == 4
    assert page.count('src="data:image/png') == 4 * (1 + 3 + 4)
    scores = image_scores(load_scores(out / "scores.npz"))["ged2"]
    worst = list(discs)[int(np.argmax(scores))]
    assert page.index(f"<h3>{worst}</h3>") < page.index("Best images")
    with pytest.raises(ValueError, match=r"scores\.json is there already"):
        run(tmp_path)
    run(tmp_path, overwrite=True)


def write_volume(path, array, spacing=(1.0, 1.0, 2.0), origin=(0.0, 0.0, 0.0), angle=0.0):
    image = sitk.GetImageFromArray(np.asarray(array))
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    cos, sin = np.cos(angle), np.sin(angle)
    image.SetDirection((cos, -sin, 0, sin, cos, 0, 0, 0, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


def test_a_volume_is_one_image_whose_voxels_are_scored_like_pixels(tmp_path, write):
    rng = np.random.default_rng(1)
    truth, samples = rng.integers(0, 2, (2, 2, 3, 6, 5), dtype=np.uint8)
    for suffix, folder in ((".nii.gz", "nifti"), (".nrrd", "nrrd")):
        for member in range(2):
            write_volume(tmp_path / folder / f"t/{member}/ct{suffix}", truth[member])
            write_volume(tmp_path / folder / f"s/ct_{member}{suffix}", samples[member])
    write(tmp_path / "t", {f"ct_l{g}": one.reshape(18, 5) for g, one in enumerate(truth)})
    write(tmp_path / "s", {f"ct_{n}": one.reshape(18, 5) for n, one in enumerate(samples)})
    tables = []
    for folder in ("nifti", "nrrd", "."):
        out = run(tmp_path, truth=f"{folder}/t", samples=f"{folder}/s", out=f"out {folder}")
        tables.append((out / "scores.csv").read_text())
    assert tables[0] == tables[1] == tables[2]


def test_dicom_segmentations_are_scored_on_the_slices_where_their_frames_lie(tmp_path):
    write_series(tmp_path / "ct", [30.0, 33.0, 36.0, 39.0])
    series = read_volume(tmp_path / "ct")
    labels = np.random.default_rng(3).integers(0, 3, (2, 4, 6, 5), dtype=np.uint8)
    labels[0, [0, 2]] = 0
    part = dataclasses.replace(series, array=series.array[[1, 3]], files=series.files[1::2])
    for folder, suffix in (("seg", ".dcm"), ("nifti", ".nii.gz")):
        write_like(tmp_path / folder / f"t/ct{suffix}", labels[0], like=series)
        write_like(tmp_path / folder / f"s/ct{suffix}", labels[1], like=series)
    write_like(tmp_path / "left out/t/ct.dcm", labels[0, [1, 3]], like=part)
    tables = []
    for truth, samples in (
        ("nifti/t", "nifti/s"),
        ("seg/t", "seg/s"),
        ("left out/t", "seg/s"),
        ("left out/t", "nifti/s"),
        ("seg/s", "left out/t"),
        ("nifti/s", "nifti/t"),
    ):
        out = run(tmp_path, truth, samples, f"out {len(tables)}", bootstraps=2)
        tables.append((out / "scores.csv").read_text())
    assert tables[0] == tables[1] == tables[2] == tables[3]
    assert tables[4] == tables[5] != tables[0]
    short = dataclasses.replace(series, array=series.array[:2])
    write_like(tmp_path / "short/ct.nii.gz", labels[1, :2], short)
    with pytest.raises(ValueError, match=r"ct\.dcm lies elsewhere than .*ct\.nii\.gz"):
        run(tmp_path, "short", "left out/t", "out")


def test_instances_are_scored_by_rand_error_and_precision_as_runs_of_samples_and_graders(
    tmp_path, write
):
    rng = np.random.default_rng(2)
    truth, samples = rng.integers(0, 4, (2, 2, 3, 8, 8))
    samples[1, :2] = truth[0, :2]  # as the first grader in two images
    for n in range(3):
        write(tmp_path / "truth", {f"{g}/{n}": truth[g, n] for g in range(2)})
        write(tmp_path / "samples", {f"{s}/{n}": 50 * samples[s, n] for s in range(2)})
    out = run(tmp_path, instances=True)
    results = json.loads((out / "scores.json").read_text())
    pairs = [(s, g) for g in range(2) for s in range(2)]
    errors = [[adapted_rand_error(samples[s, n], truth[g, n]) for n in range(3)] for s, g in pairs]
    assert results["model"]["rand_error"]["mean"] == pytest.approx(np.mean(errors))
    assert results["counts"] == {"images": 3, "runs": 4}
    alone = [match(samples[1, n], np.ones(3), truth[0, n], min_region=1) for n in range(3)]
    assert average_precision(alone[0])[0] == 1
    rows = [line.split(",") for line in (out / "scores.csv").read_text().splitlines()]
    assert rows[0] == ["image", "rand_error", "average_precision", "average_precision_50"]
    np.testing.assert_allclose([float(row[1]) for row in rows[1:]], np.mean(errors, axis=0))
    assert not (out / "scores.npz").exists()
    assert "Rand error ↓" in (out / "report.html").read_text()


def test_numbers_that_each_slice_has_of_its_own_are_not_taken_for_one_object(tmp_path, write):
    truth = np.random.default_rng(4).integers(0, 3, (3, 8, 8), dtype=np.uint8)
    truth[1] *= 20  # numbers that only a part of the slices has
    header, row = "image,slice,instance,confidence\n", "{},{},{},0.5\n"
    rows = {place: np.unique(one[one > 0]) for place, one in enumerate(truth)}
    write_volume(tmp_path / "truth/a.nii", truth)
    write_volume(tmp_path / "samples/a_instances.nii", truth)
    table = "".join(row.format("a.nii", z, id_) for z, ids in rows.items() for id_ in ids)
    (tmp_path / "samples/instances.csv").write_text(header + table)
    write(tmp_path / "t", {str(z): one for z, one in enumerate(truth)})
    write(tmp_path / "s", {f"{z}_instances": 3 * one for z, one in enumerate(truth)})
    linked = np.where(truth == 2, 1, truth)  # in the truth alone: it is cut, too
    write_volume(tmp_path / "linked/a.nii", linked)
    found = []
    for truths, samples in (("truth", "samples"), ("t", "s"), ("linked", "samples")):
        out = run(tmp_path, truths, samples, instances=True, overwrite=True, bootstraps=2)
        found.append(json.loads((out / "scores.json").read_text())["model"])
    for metric in ("rand_error", "average_precision"):
        assert found[0][metric]["mean"] == found[1][metric]["mean"]
    assert found[0]["average_precision"]["mean"] == 1 > found[2]["average_precision"]["mean"]


def test_what_segment_wrote_is_scored_with_its_confidences(tmp_path, write):
    truth = np.zeros((8, 8), int)
    truth[:4, :4], truth[5:, 5:] = 1, 2
    found = truth.copy()
    found[:3, 5:] = 7  # a false positive
    write(tmp_path / "truth", {"a": truth})
    write(tmp_path / "samples", {"a_instances": found, "a_overlay": 9 * found})
    header = "image,instance,area,left,top,width,height,confidence,agreement\n"
    for sure in (0.1, 0.9):
        rows = [
            f"a.tif,{id_},9,0,0,3,3,{value},1" for id_, value in ((1, 0.8), (2, 0.8), (7, sure))
        ]
        (tmp_path / "samples" / "instances.csv").write_text(header + "\n".join(rows))
        out = run(tmp_path, instances=True, overwrite=True)
        scored = match(found, [0.8, 0.8, sure], truth, min_region=1)
        expected = average_precision(scored).mean()
        results = json.loads((out / "scores.json").read_text())
        assert results["model"]["average_precision"]["mean"] == pytest.approx(expected)
    (tmp_path / "samples" / "instances.csv").write_text(header + rows[0])
    with pytest.raises(ValueError, match="no confidence in the instance 2 of a"):
        run(tmp_path, instances=True, overwrite=True)
    (tmp_path / "samples" / "instances.csv").write_text(header + "a.tif,many")
    with pytest.raises(ValueError, match=r"instances\.csv is damaged: line 2"):
        run(tmp_path, instances=True, overwrite=True)


def test_maps_of_0_and_255_need_a_word_on_what_255_means(tmp_path, write, discs):
    for name, (truth, samples) in discs.items():
        write(tmp_path / "truth", {f"{name}_{g}": 255 * m for g, m in enumerate(truth)})
        write(tmp_path / "samples", {f"{name}_{n}": m for n, m in enumerate(samples)})
        write(tmp_path / "plain", {f"{name}_{g}": m for g, m in enumerate(truth)})
    pairing = pair(tmp_path / "truth", tmp_path / "samples")
    scores = score_classes(pairing, check(pairing, foreground=255))
    plain = pair(tmp_path / "plain", tmp_path / "samples")
    expected = score_classes(plain, check(plain))
    np.testing.assert_array_equal(scores.rows["model"]["ged2"], expected.rows["model"]["ged2"])
    write(tmp_path / "samples", {f"{n}_{k}": np.zeros((16, 16)) for n in discs for k in range(4)})
    with pytest.raises(ValueError, match=r"only the values 0 and 255: give --foreground=255"):
        run(tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "more", "sentence"),
    [
        (lambda put: put("samples/a_1", np.zeros((4, 5))), {}, r"a_1\.png has 4x5 pixels, but"),
        (lambda put: put("samples/a_1", np.full((4, 4), 9)), {"num_classes": 3}, "the value 9"),
        (lambda put: put("samples/a_1", np.full((4, 4), 255)), {}, r"a_1\.png has the value 255"),
        (lambda put: put("truth/a", np.full((4, 4), 255)), {"foreground": 1}, "no image has a"),
        (lambda put: put("samples/c_0", np.zeros((4, 4))), {}, r"c_0\.png has no truth"),
    ],
)
def test_maps_that_cannot_be_scored_are_named_and_nothing_is_written(
    tmp_path, write, change, more, sentence
):
    write(tmp_path, {"truth/a": np.eye(4), "samples/a_0": np.eye(4), "samples/a_1": np.eye(4)})
    change(lambda name, labels: write(tmp_path, {name: labels}))
    with pytest.raises(ValueError, match=sentence):
        run(tmp_path, **more)
    assert not (tmp_path / "out").exists()


def test_what_samples_have_in_ignored_pixels_changes_no_score(tmp_path, write):
    rng = np.random.default_rng(4)
    truth, samples, noise = rng.integers(0, 3, (3, 2, 8, 8))
    truth[0, :3] = IGNORED
    for number, others in enumerate((samples, noise, np.full_like(samples, IGNORED))):
        shown = np.where((truth == IGNORED).any(axis=0), others, samples)
        folder = tmp_path / str(number)
        write(folder, {f"truth/a_l{g}": one for g, one in enumerate(truth)})
        write(folder, {f"samples/a_{n}": one for n, one in enumerate(shown)})
    first, *others = ((run(tmp_path / str(n)) / "scores.csv").read_text() for n in range(3))
    assert others == [first, first]


def test_values_that_are_no_labels_and_damaged_files_are_named(tmp_path, write):
    for array, sentence in (
        (np.full((2, 3, 3), 0.5, np.float32), r"ct\.nii has values that are no whole numbers"),
        (np.full((2, 3, 3), -1, np.int16), r"ct\.nii has the label -1"),
        (np.full((2, 3, 3), 300, np.int16), r"ct\.nii has the value 300.*--instances"),
    ):
        write_volume(tmp_path / "truth/ct.nii", np.zeros((2, 3, 3), np.uint8))
        write_volume(tmp_path / "samples/ct.nii", array)
        with pytest.raises(ValueError, match=sentence):
            run(tmp_path)
    (tmp_path / "samples/ct.nii").write_bytes(b"no volume")
    with pytest.raises(ValueError, match=r"samples/ct\.nii is damaged"):
        run(tmp_path)


@pytest.mark.parametrize(
    ("geometry", "what"),
    [
        ({"origin": (0.0, 0.5, 0.0)}, "origin is 0 0.5 0, not 0 0 0"),
        ({"spacing": (1.0, 1.0, 2.5)}, "spacing is 1 1 2.5, not 1 1 2"),
        ({"angle": 0.2}, "direction"),
    ],
)
def test_geometries_that_differ_are_named(tmp_path, geometry, what):
    write_volume(tmp_path / "truth/ct.nii", np.zeros((2, 3, 3), np.uint8))
    write_volume(tmp_path / "samples/ct.nrrd", np.zeros((2, 3, 3), np.uint8), **geometry)
    with pytest.raises(ValueError, match=r"ct\.nrrd lies elsewhere than .*ct\.nii: its " + what):
        run(tmp_path)


def test_results_are_never_written_where_is_read_from(tmp_path, write):
    write(tmp_path, {"truth/a": np.eye(4), "samples/a": np.eye(4)})
    for out in ("truth", "samples", "samples/out"):
        with pytest.raises(ValueError, match="is read from"):
            run(tmp_path, out=out)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file: give a folder"):
        run(tmp_path, out="file")
    assert {path.name for path in tmp_path.iterdir()} == {"truth", "samples", "file"}


def test_without_a_second_sample_what_compares_samples_is_not_defined(tmp_path, write, discs):
    for name, (truth, samples) in discs.items():
        write(tmp_path / "truth", {name: truth[0]})
        write(tmp_path / "samples", {name: samples[0]})
    results = json.loads((run(tmp_path) / "scores.json").read_text())
    assert results["model"]["risk_coverage_area"]["mean"] is None
    assert results["human"]["ged2"]["mean"] is None
    assert 0 < results["model"]["matched_dice"]["mean"] < 1


def test_scores_of_several_folders_can_be_compared(tmp_path, write, discs):
    """They are `Scores`, which `summarize` merges."""
    for name, (truth, samples) in discs.items():
        write(tmp_path / "truth", {name: truth[0]})
        write(tmp_path / "samples", {name: samples[0]})
    pairing = pair(tmp_path / "truth", tmp_path / "samples")
    scores = score_classes(pairing, check(pairing))
    twice = summarize([scores, dataclasses.replace(scores)], num_bootstraps=10)
    assert twice["counts"]["runs"] == 2
