"""The embedded data set: real counts, real outlines, an image that gives no grader away."""

from collections import Counter

import numpy as np
import pytest

from benchmarks.simulated_and_real import hounsfield
from hpunet_jax.data.lidc import lesions as lesions_module
from hpunet_jax.data.lidc.lesions import group_lesions, lesion_masks, marked_crops
from hpunet_jax.data.lidc.readings import read_scans
from hpunet_jax.data.lidc.split import draw_split
from hpunet_jax.data.phantoms.lidc_examples import (
    lesion_examples,
    phantom_arrays,
    phantom_examples,
)
from hpunet_jax.data.phantoms.simulated_ct import SimulatedLesion


@pytest.fixture(scope="module")
def scans():
    return read_scans()


@pytest.fixture(scope="module")
def lesions(scans):
    return [(scan, lesion) for scan in scans for lesion in group_lesions(scan.readings)]


@pytest.fixture(scope="module")
def arrays():
    return phantom_arrays("validation", workers=0, limit=60, progress=False)


def test_the_readings_are_all_there(scans):
    assert len(scans) == 1018
    assert sum(len(scan.readings) for scan in scans) == 6859
    assert sum(len(r.contours) for scan in scans for r in scan.readings) == 41_406


def test_lesions_patients_and_slices_are_counted_exactly(lesions):
    assert len(lesions) == 2641
    assert len({scan.patient for scan, _ in lesions}) == 875
    assert sum(len(lesion.slices) for _, lesion in lesions) == 15_748  # 51 enclose no pixel
    assert sum(len(lesion.readings) > 4 for _, lesion in lesions) == 23
    assert max(len(lesion.graders) for _, lesion in lesions) == 4


def test_the_outlines_of_holes_change_as_many_masks_as_the_data_card_says(lesions, monkeypatch):
    """Version 2.0.0 counted a hole's own outline as lesion."""
    enclosed = lesions_module.enclosed_pixels
    masks = examples = pixels = 0
    for scan, lesion in lesions:
        holes = {c.z for r in lesion.readings for c in r.contours if not c.inclusion}
        for z in holes.intersection(lesion.slices):
            found = lesion_masks(lesion, z, scan.pixel_spacing)
            with monkeypatch.context() as patch:
                patch.setattr(lesions_module, "enclosed_pixels", lambda p, **_: enclosed(p))
                before = lesion_masks(lesion, z, scan.pixel_spacing)
            assert (found <= before).all()
            changed = (found != before).any(axis=(0, 1)).sum()
            masks, examples = masks + changed, examples + bool(changed)
            pixels += (found != before).sum()
    assert (masks, examples, pixels) == (656, 579, 14_767)


def test_patients_are_split_in_the_papers_proportions_as_those_of_scans_are(scans):
    split = draw_split({scan.patient for scan in scans})
    assert Counter(split.values()) == {"train": 722, "val": 144, "test": 144}
    first = next(phantom_examples("validation", workers=0, limit=1, progress=False))
    assert split[first["id"].partition("/")[0]] == "val"


def test_every_crop_is_marked_and_centred(arrays):
    masks = arrays["masks"]
    assert arrays["image"].shape[1:] == (180, 180, 1)
    assert masks.shape[1:] == (180, 180, 4)
    assert set(np.unique(masks)) == {0, 1}
    assert masks.any(axis=(1, 2, 3)).all()
    y, x = np.nonzero(masks.any(axis=(0, 3)))
    assert abs(y.mean() - 89.5) < 6
    assert abs(x.mean() - 89.5) < 6


def test_examples_are_the_same_each_time_and_in_any_process(lesions):
    scan, lesion = lesions[5]
    first, again = (
        lesion_examples(scan.number, scan.patient, scan.pixel_spacing, 0, lesion) for _ in range(2)
    )
    assert [e["id"] for e in first] == [e["id"] for e in again]
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a["image"], b["image"])
    inside = list(phantom_examples("test", workers=0, limit=2, progress=False))
    outside = list(phantom_examples("test", workers=1, limit=2, progress=False))
    for a, b in zip(inside, outside, strict=True):
        assert a["id"] == b["id"]
        np.testing.assert_array_equal(a["image"], b["image"])


def _lung(image):
    """The lung's grey value: the median below -600 HU; every crop shows lung."""
    return np.median(image[image < 73])


def test_the_image_shows_the_lesion(arrays):
    """Where graders agree on a lesion it is brighter than the lung, mostly."""
    brighter = []
    for image, masks in zip(arrays["image"][..., 0].astype(float), arrays["masks"], strict=True):
        votes = masks.sum(axis=-1)
        if (votes == 4).sum() >= 20:
            brighter.append(image[votes == 4].mean() > _lung(image) + 10)
    assert len(brighter) > 30
    assert np.mean(brighter) > 0.9


def test_every_seventh_of_the_solid_lesions_is_shown_as_ground_glass(scans):
    """Of the lesions that all call solid and that are large enough to be seen in full."""
    found = []
    for scan in scans[::4]:
        for number, lesion in enumerate(group_lesions(scan.readings)):
            if any(reading.ratings["texture"] < 5 for reading in lesion.readings):
                continue
            z = lesion.slices[len(lesion.slices) // 2]
            masks = lesion_masks(lesion, z, scan.pixel_spacing)
            core = masks.all(axis=-1)
            if core.sum() >= 80:
                simulated = SimulatedLesion(scan.number, number, lesion, scan.pixel_spacing)
                found.append(np.median(hounsfield(simulated.image(z, masks)[core])))
    assert len(found) > 60
    assert 0.07 < (np.array(found) < -250).mean() < 0.25


def test_the_image_encodes_no_graders_own_outline(arrays):
    """Across an outline's edge, no grader's pixels stand out against the others' on average.

    Thresholding the image half way between lesion and surroundings gives a shape; it must not
    equal any grader's mask, and no grader (they stand in arbitrary order) may be nearer to it.
    """
    overlaps = []
    for image, masks in zip(arrays["image"][..., 0].astype(float), arrays["masks"], strict=True):
        votes = masks.sum(axis=-1)
        if masks.any(axis=(0, 1)).all() and (votes == 4).sum() >= 30:
            threshold = (image[votes == 4].mean() + _lung(image)) / 2
            shape = (image > threshold) & (votes > 0)
            intersection = (masks & shape[..., None]).sum(axis=(0, 1))
            overlaps.append(intersection / (masks | shape[..., None]).sum(axis=(0, 1)))
    overlaps = np.array(overlaps)
    assert len(overlaps) > 20
    assert overlaps.max() < 1.0
    assert np.ptp(overlaps.mean(axis=0)) < 0.12


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="no split 'dev'"):
        next(phantom_examples("dev"))


def test_crops_in_which_nothing_is_enclosed_are_left_out(lesions):
    sizes = [
        masks.any()
        for scan, lesion in lesions[::200]
        for _, masks in marked_crops(lesion, scan.pixel_spacing)
    ]
    assert sizes
    assert all(sizes)
