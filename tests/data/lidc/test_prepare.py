"""From DICOM and XML to a batch, and everything that can be wrong on the way."""

import json
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image

from hpunet_jax.data.lidc import scan_crops
from hpunet_jax.data.lidc.prepare import prepare

SIZE = 256
PREFIX = "1.3.6.1.4.1.14519.5.2.1.6279.6001."
POSITIONS = (-5.0, -2.5, 0.0, 2.5)
SPLIT = {"train": ["LIDC-IDRI-0001", "LIDC-IDRI-0004"], "val": ["LIDC-IDRI-0002"]}
SPLIT["test"] = ["LIDC-IDRI-0003"]


def write_scan(lidc_files, source, number, patient=None, **fields):
    """A scan with a lesion that three of four radiologists outlined, in slices 2 and 3."""
    patient = patient or f"LIDC-IDRI-{number:04d}"
    folder = source / patient / "01-01-2000-30178" / f"3000566.000000-0{number}"
    stored = lidc_files.series(
        folder, number, POSITIONS, SIZE, seed=number, patient=patient, **fields
    )

    def outline(x, y, size, *slices):
        square = lidc_files.square(x, y, size)
        return [(POSITIONS[k - 1], True, square, k) for k in slices]

    sessions = [[outline(100, 120, 21, 2, 3)], [], [outline(105, 125, 11, 2)]]
    sessions += [[outline(100, 120, 11, 3), [(-5.0, True, [(7, 7)], 1)]]]
    lidc_files.markup(folder / "069.xml", number, sessions)
    return folder, stored


def folders_of(out, number, part="train"):
    """Where the images and the masks of a scan must be."""
    patient = f"LIDC-IDRI-{number:04d}"
    return [out / part / kind / patient / f"{PREFIX}{number}" for kind in ("images", "gt")]


@pytest.fixture
def source(tmp_path, lidc_files):
    """Three good scans."""
    folder = tmp_path / "LIDC-IDRI"
    for number in (1, 2, 3):
        write_scan(lidc_files, folder, number)
    return folder


@pytest.fixture
def split_file(tmp_path):
    path = tmp_path / "split.json"
    path.write_text(json.dumps(SPLIT))
    return path


def read(path):
    return np.array(Image.open(path))


def files_in(out):
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for part in ("train", "val", "test")
        for path in sorted((out / part).rglob("*.png"))
    }


def test_crops_are_centred_on_the_lesion_and_hold_what_each_grader_drew(
    tmp_path, lidc_files, split_file
):
    _, stored = write_scan(lidc_files, tmp_path / "LIDC-IDRI", 1)
    report = prepare(tmp_path / "LIDC-IDRI", tmp_path / "out", split_file=split_file, workers=0)
    assert report.counts["crops"] == 2
    images, gt = folders_of(tmp_path / "out", 1)
    names = sorted(path.name for path in images.iterdir())
    assert names == ["z--2.5_c0.png", "z-0.0_c0.png"]
    for name, pixels, extents in (
        ("z--2.5_c0", stored[1], [(101, 121, 20), None, (106, 126, 10), None]),
        ("z-0.0_c0", stored[2], [(101, 121, 20), None, None, (101, 121, 10)]),
    ):
        # The box spans 100-121 and 120-141: centre (110.5, 130.5), first pixel 89.5 before it.
        window = np.s_[41:221, 21:201]
        hounsfield = pixels[window].astype(float) - 1024
        expected = np.clip((hounsfield + 1000) / 1400 * 255, 0, 255).round()
        image = read(images / f"{name}.png")
        assert image.dtype == np.uint8
        assert np.abs(image - expected).max() <= 1  # rounded in float32
        for grader, extent in enumerate(extents):
            mask = np.zeros((SIZE, SIZE), np.uint8)
            if extent:
                x, y, size = extent
                mask[y : y + size, x : x + size] = 255
            found = read(gt / f"{name}_l{grader}.png")
            np.testing.assert_array_equal(found, mask[window], strict=True)


def test_the_crops_are_served_by_the_published_crops_reader(tmp_path, source, split_file):
    tfds = pytest.importorskip("tensorflow_datasets")
    from hpunet_jax.augmentation import Augmentation, training_batch
    from hpunet_jax.data import catalogue, pipeline

    out = tmp_path / "out"
    prepare(source, out, split_file=split_file, workers=2)  # in processes of their own
    builder = catalogue.find_builder("lidc_crops/any_count", tmp_path / "tfds")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=out))
    (batch,) = pipeline.eval_batches(builder, split="test", batch_size=4)
    assert (batch["image"].shape, batch["masks"].shape) == ((2, 180, 180, 1), (2, 180, 180, 4))
    assert sorted(batch["masks"].sum(axis=(1, 2)).tolist()) == [[400, 0, 0, 100], [400, 0, 100, 0]]
    draw = jax.jit(training_batch, static_argnums=2)
    drawn = draw(jax.random.key(0), batch, Augmentation(crop=(128, 128)))
    np.testing.assert_allclose(drawn.image, batch["image"][:, 26:154, 26:154] / 255, atol=1e-6)
    assert set(np.asarray(drawn.label).sum(axis=(1, 2))) <= {0, 100, 400}
    assert (drawn.mask == 1).all()
    assert {builder.info.splits[part].num_examples for part in ("train", "validation")} == {2}


def test_a_stopped_run_goes_on_where_it_was(tmp_path, source, split_file, monkeypatch):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    expected = prepare(source, whole, split_file=split_file, workers=0)
    real, prepared = scan_crops._write_crops, []

    def interrupted(scan, *arguments):
        if len(prepared) == 2:
            raise KeyboardInterrupt
        prepared.append(scan.patient)
        return real(scan, *arguments)

    monkeypatch.setattr(scan_crops, "_write_crops", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(source, stopped, split_file=split_file, workers=0)
    assert not (stopped / "report.json").exists()
    again = []
    monkeypatch.setattr(
        scan_crops, "_write_crops", lambda scan, *rest: again.append(scan) or real(scan, *rest)
    )
    report = prepare(source, stopped, split_file=split_file, workers=0)
    assert [scan.patient for scan in again] == ["LIDC-IDRI-0003"]
    assert report == expected
    assert files_in(stopped) == files_in(whole)
    assert len(files_in(whole)) == 3 * 2 * 5


def test_going_on_with_another_split_or_window_is_refused(tmp_path, source, split_file):
    out = tmp_path / "out"
    prepare(source, out, split_file=split_file, workers=0)
    with pytest.raises(ValueError, match="was begun with the window"):
        prepare(source, out, split_file=split_file, window=(-1200, 600), workers=0)
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**SPLIT, "val": [], "test": SPLIT["val"] + SPLIT["test"]}))
    with pytest.raises(ValueError, match=r"another patient split \(LIDC-IDRI-0002 was in 'val'"):
        prepare(source, out, split_file=other, workers=0)
    report = prepare(source, out, split_file=out / "split.json", workers=0)
    assert report.images == {"train": 2, "val": 2, "test": 2}
    written = (out / "split.json").read_bytes()
    (out / "split.json").write_bytes(other.read_bytes())
    with pytest.raises(ValueError, match=r"split.json was changed since the crops"):
        prepare(source, out, split_file=split_file, workers=0)
    (out / "split.json").unlink()
    prepare(source, out, split_file=split_file, workers=0)
    assert (out / "split.json").read_bytes() == written


@pytest.mark.parametrize("name", ["split.json", "report.txt", "train"])
def test_files_of_a_user_are_not_written_over(tmp_path, source, split_file, name):
    out = tmp_path / "out"
    out.mkdir()
    content = json.dumps(SPLIT, indent=7)
    (out / name).write_text(content)
    before = sorted(out.iterdir())
    with pytest.raises(ValueError, match=rf"{name} is there already|holds {name} of something"):
        prepare(source, out, workers=0)
    assert sorted(out.iterdir()) == [out / ".lock", *before]
    assert (out / name).read_text() == content
    if name == "split.json":  # which is used when it is given
        report = prepare(source, out, split_file=out / name, workers=0)
        assert report.images == {"train": 2, "val": 2, "test": 2}
        assert (out / name).read_text() == content
    with pytest.raises(ValueError, match=r"is where .* is read from"):
        prepare(source, source / "out", workers=0)


def test_without_a_split_file_the_patients_are_drawn_also_of_linked_folders(tmp_path, source):
    (source / "LIDC-IDRI-0001").rename(tmp_path / "another disk")
    (source / "LIDC-IDRI-0001").symlink_to(tmp_path / "another disk")
    report = prepare(source, tmp_path / "out", seed=4, workers=0)
    assert sum(report.images.values()) == 6
    split = json.loads((tmp_path / "out/split.json").read_text())
    assert {part: len(names) for part, names in split.items()} == {
        "train": 722,
        "val": 144,
        "test": 144,
    }


def test_a_scan_has_the_same_names_whatever_other_scans_its_patient_has(
    tmp_path, lidc_files, split_file
):
    source, out = tmp_path / "LIDC-IDRI", tmp_path / "out"
    write_scan(lidc_files, source, 2, patient="LIDC-IDRI-0001")
    prepare(source, out, split_file=split_file, workers=0)
    before = files_in(out)
    assert len(before) == 10
    write_scan(lidc_files, source, 1)
    report = prepare(source, out, split_file=split_file, workers=0)
    assert report.images["train"] == 4
    after = files_in(out)
    assert {name: after[name] for name in before} == before
    assert len(after) == 20


def spoil(folder, lidc_files, stored, kind):
    """Makes a scan bad; returns the file that the report must name."""
    xml, second = folder / "069.xml", folder / "1-002.dcm"
    if kind == "number of sessions":
        session = [[(0.0, True, lidc_files.square(100, 120, 21), 3)]]
        lidc_files.markup(xml, 4, [session] * 5)
    elif kind == "outline beyond the image":
        outside = [[(0.0, True, lidc_files.square(240, 120, 21), 3)]]
        lidc_files.markup(xml, 4, [outside, [], [], []])
    elif kind == "series without XML":
        xml.unlink()
        return folder
    elif kind == "name of no folder":
        lidc_files.series(folder, 4, POSITIONS, SIZE, seed=4, patient="../0004")
        return folder
    elif kind == "XML without series":
        for path in folder.glob("*.dcm"):
            path.unlink()
        return xml
    elif kind == "damaged XML":
        xml.write_bytes(xml.read_bytes()[:2000])
    elif kind == "damaged DICOM":
        second.write_bytes(second.read_bytes()[:40_000])
        return second
    elif kind == "different XML files of a series":
        lidc_files.markup(folder / "other" / "070.xml", 4, [[]] * 4)
        return folder / "other" / "070.xml"
    else:
        fields = {
            "mixed pixel spacing": {"PixelSpacing": [0.6, 0.6]},
            "mixed image size": {},
            "not 16 bits": {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7},
        }[kind]
        pixels = stored[1, :128] if kind == "mixed image size" else stored[1]
        lidc_files.slice(second, pixels, -2.5, 4, 2, patient="LIDC-IDRI-0004", **fields)
        return second
    return xml


@pytest.mark.parametrize(
    "kind",
    [
        "number of sessions",
        "outline beyond the image",
        "name of no folder",
        "series without XML",
        "XML without series",
        "damaged XML",
        "damaged DICOM",
        "different XML files of a series",
        "mixed pixel spacing",
        "mixed image size",
        "not 16 bits",
    ],
)
def test_a_bad_scan_is_named_counted_and_never_used(tmp_path, lidc_files, source, split_file, kind):
    folder, stored = write_scan(lidc_files, source, 4)
    named = spoil(folder, lidc_files, stored, kind)
    out = tmp_path / "out"
    prepare(source, out, split_file=split_file, workers=0)
    report = json.loads((out / "report.json").read_text())
    found = [p for p in report["skipped"] + report["problems"] if p["kind"] == kind]
    assert len(found) == 1
    assert str(named) in found[0]["text"]
    assert {**report["skipped_by_kind"], **report["problems_by_kind"]}[kind] == 1
    assert report["counts"]["scans used"] == 3
    assert not any(folder.parent.exists() for folder in folders_of(out, 4))
    text = (out / "report.txt").read_text()
    assert f"1 x {kind}" in text
    assert str(named) in text


@pytest.mark.parametrize("kind", ["damaged DICOM", "series without XML", "number of sessions"])
def test_what_was_made_of_a_scan_that_is_bad_now_is_removed(
    tmp_path, lidc_files, source, split_file, kind
):
    folder, stored = write_scan(lidc_files, source, 4)
    out = tmp_path / "out"
    assert prepare(source, out, split_file=split_file, workers=0).images["train"] == 4
    spoil(folder, lidc_files, stored, kind)
    report = prepare(source, out, split_file=split_file, workers=0)
    assert report.images["train"] == 2
    assert not any(folder.parent.exists() for folder in folders_of(out, 4))
    assert len(files_in(out)) == 5 * sum(report.images.values())


def test_a_scan_that_fails_half_way_leaves_nothing(tmp_path, lidc_files, source, split_file):
    """The second of its slices cannot be decoded; the first one's crop was written already."""
    folder, _ = write_scan(lidc_files, source, 4, syntax=lidc_files.explicit)
    lidc_files.compress(folder / "1-003.dcm", "JPEGLosslessSV1")
    data = (folder / "1-003.dcm").read_bytes()
    (folder / "1-003.dcm").write_bytes(data[:5000])
    out = tmp_path / "out"
    report = prepare(source, out, split_file=split_file, workers=0)
    assert [problem.kind for problem in report.skipped] == ["damaged DICOM"]
    assert len(files_in(out)) == 5 * sum(report.images.values()) == 30
    assert not list(out.glob(".aside*"))


def test_a_mended_slice_and_a_changed_reading_are_looked_at_again(
    tmp_path, lidc_files, source, split_file
):
    folder, stored = write_scan(lidc_files, source, 4)
    out = tmp_path / "out"
    prepare(source, out, split_file=split_file, workers=0)
    before = files_in(out)
    image = folders_of(out, 4)[0] / "z--2.5_c0.png"
    lidc_files.slice(folder / "1-002.dcm", 0 * stored[1], -2.5, 4, 2, patient="LIDC-IDRI-0004")
    prepare(source, out, split_file=split_file, workers=0)
    changed = files_in(out)
    name = image.relative_to(out).as_posix()
    assert [key for key in before if before[key] != changed[key]] == [name]
    outline = [(0.0, True, lidc_files.square(100, 120, 21), 3)]
    lidc_files.markup(folder / "069.xml", 4, [[outline], [], [], []])
    report = prepare(source, out, split_file=split_file, workers=0)
    assert report.images["train"] == 3
    assert not image.exists()


def test_scans_made_earlier_from_another_source_stay_and_are_counted(
    tmp_path, lidc_files, source, split_file
):
    out = tmp_path / "out"
    prepare(source, out, split_file=split_file, workers=0)
    write_scan(lidc_files, tmp_path / "more", 4)
    report = prepare(tmp_path / "more", out, split_file=split_file, workers=0)
    assert report.counts["scans used, made earlier and not in the source now"] == 3
    assert report.images == {"train": 4, "val": 2, "test": 2}
    assert len(files_in(out)) == 5 * 8


def test_copies_odd_numbers_and_equal_positions_lose_no_scan(
    tmp_path, lidc_files, source, split_file
):
    """As in LIDC-IDRI-0127 (XML files that differ in the header), -0017 (two images at a position,
    each marked by some), and after copying by hand."""
    folder, stored = write_scan(lidc_files, source, 4)
    expected = prepare(source, tmp_path / "plain", split_file=split_file, workers=0)
    text = (folder / "069.xml").read_text()
    for number, uid in enumerate(("1.3.7", "1.3.8")):
        (folder / f"07{number}.xml").write_text(text.replace('uid="1.3.6"', f'uid="{uid}"'))
    shutil.copy(folder / "1-003.dcm", folder / "1-003(1).dcm")
    patient = {"patient": "LIDC-IDRI-0004"}
    lidc_files.slice(folder / "1-005.dcm", stored[3], 2.5, 4, 5, **patient)
    lidc_files.slice(folder / "1-006.dcm", stored[0], 0.0, 4, 6, InstanceNumber=77, **patient)
    shutil.copytree(folder, folder.with_name("copy"))
    out = tmp_path / "out"
    report = prepare(source, out, split_file=split_file, workers=0)
    assert not report.skipped
    assert not report.problems
    assert report.images == expected.images
    assert report.not_used["copies of XML files"] == 5
    assert files_in(out) == files_in(tmp_path / "plain")


def test_two_images_marked_at_a_position_make_one_crop_of_all_graders(
    tmp_path, lidc_files, source, split_file
):
    folder, stored = write_scan(lidc_files, source, 4)
    patient = {"patient": "LIDC-IDRI-0004"}
    lidc_files.slice(folder / "1-005.dcm", stored[0], 0.0, 4, 5, **patient)
    square = lidc_files.square(100, 120, 21)
    sessions = [[[(0.0, True, square, number)]] for number in (3, 5, 5, 3)]
    lidc_files.markup(folder / "069.xml", 4, sessions)
    out = tmp_path / "out"
    report = prepare(source, out, split_file=split_file, workers=0)
    assert [problem.kind for problem in report.problems] == ["several marked images at a position"]
    assert report.images["train"] == 3
    masks = [read(folders_of(out, 4)[1] / f"z-0.0_c0_l{k}.png") for k in range(4)]
    assert {int(mask.sum()) for mask in masks} == {255 * 400}


def test_a_scan_of_three_sessions_is_used_and_its_fourth_grader_is_missing(
    tmp_path, lidc_files, split_file
):
    """As LIDC-IDRI-0700; -0566 has eight sessions, four of them without an outline."""
    tfds = pytest.importorskip("tensorflow_datasets")
    from hpunet_jax.data import catalogue, pipeline

    source, out = tmp_path / "LIDC-IDRI", tmp_path / "out"
    square = lidc_files.square(100, 120, 21)
    for number, empty in ((1, 0), (2, 5)):
        folder, _ = write_scan(lidc_files, source, number)
        drawn = [[[(0.0, True, square, 3)]]] * 3
        lidc_files.markup(folder / "069.xml", number, drawn + [[]] * empty)
    report = prepare(source, out, split_file=split_file, workers=0)
    assert sorted(problem.kind for problem in report.problems) == [
        "fewer than four reading sessions",
        "more than four reading sessions",
    ]
    builder = catalogue.find_builder("lidc_crops/any_count", tmp_path / "tfds")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=out))
    (batch,) = pipeline.eval_batches(builder, split="train", batch_size=4)
    assert batch["masks"].sum(axis=(0, 1, 2)).tolist() == [400, 400, 400, 255 * 180 * 180]
    (batch,) = pipeline.eval_batches(builder, split="validation", batch_size=4)
    assert batch["masks"].sum(axis=(0, 1, 2)).tolist() == [400, 400, 400, 0]


def test_a_skipped_scan_is_tried_again_once_it_is_whole(tmp_path, lidc_files, source, split_file):
    folder, stored = write_scan(lidc_files, source, 4)
    spoil(folder, lidc_files, stored, "damaged DICOM")
    out = tmp_path / "out"
    assert len(prepare(source, out, split_file=split_file, workers=0).skipped) == 1
    write_scan(lidc_files, source, 4)
    report = prepare(source, out, split_file=split_file, workers=0)
    assert not report.skipped
    assert report.images["train"] == 4


def test_marked_slices_that_cannot_be_used_are_named(tmp_path, lidc_files, source, split_file):
    folder, stored = write_scan(lidc_files, source, 4)
    patient = {"patient": "LIDC-IDRI-0004"}
    lidc_files.slice(folder / "1-002.dcm", stored[1], -2.5, 4, 2, SliceLocation=1.0, **patient)
    (folder / "1-003.dcm").unlink()
    report = prepare(source, tmp_path / "out", split_file=split_file, workers=0)
    kinds = {problem.kind: problem.text for problem in report.problems}
    assert set(kinds) == {"marked slice with another SliceLocation", "marked slice without image"}
    assert "069.xml marks the slice at -2.5 mm" in kinds["marked slice with another SliceLocation"]
    assert "069.xml marks a slice at 0.0 mm" in kinds["marked slice without image"]
    assert report.counts["slices dropped by SliceLocation"] == 1
    assert report.images["train"] == 2  # of the other patient in training


def test_other_modalities_copies_and_patients_without_split_are_counted(
    tmp_path, lidc_files, source, split_file
):
    lidc_files.series(source / "LIDC-IDRI-0001" / "x-ray", 50, (0.0,), 16, Modality="DX")
    (source / "x-ray.xml").write_text("<IdriReadMessage></IdriReadMessage>")
    original = next(source.rglob("069.xml"))
    (source / "tcia-lidc-xml").mkdir()
    shutil.copy(original, source / "tcia-lidc-xml" / "158.xml")
    write_scan(lidc_files, source, 5)
    report = prepare(source, tmp_path / "out", split_file=split_file, workers=0)
    assert report.not_used == {
        "DX series": 1,
        "XML files that are not about CT scans": 1,
        "copies of XML files": 1,
    }
    (problem,) = report.problems
    assert problem.kind == "patient without split"
    assert "does not mention LIDC-IDRI-0005" in problem.text
    assert report.counts["nodules given only by their centre"] == 3
    assert report.counts["marks of what is no nodule"] == 12


def test_a_folder_without_scans_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing does not exist"):
        prepare(tmp_path / "nothing", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no DICOM files in .*empty"):
        prepare(tmp_path / "empty", tmp_path / "out")


def test_the_program_reports_what_it_did(tmp_path, source, split_file):
    command = [sys.executable, "-m", "experiments.prepare_lidc", f"--source={source}"]
    command += [f"--out={tmp_path / 'out'}", f"--split={split_file}", "--workers=0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "6  crops\n" in done.stdout
    assert "2  crops of 1 patients in val" in done.stdout
    for path in source.rglob("*.xml"):
        path.write_text(path.read_text()[:2000])
    none = subprocess.run(command, capture_output=True, text=True, check=False)
    assert none.returncode == 1
    assert "no crops were made" in none.stderr
    bad = subprocess.run([*command, "--window=1"], capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert "--window is 1; expected two numbers" in bad.stderr
