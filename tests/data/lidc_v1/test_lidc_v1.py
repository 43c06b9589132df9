import pickle

import h5py
import numpy as np
import pytest

tfds = pytest.importorskip("tensorflow_datasets")

from hpunet_jax.data import pipeline  # noqa: E402
from hpunet_jax.data.building import build  # noqa: E402
from hpunet_jax.data.lidc_v1.split import draw_split  # noqa: E402


def slices(count=12, named=True):
    """Slices of six series, of patients whose names begin the slices' if `named`."""
    rng = np.random.default_rng(0)
    found = {}
    for number in range(count):
        subject = number % 6
        name = f"LIDC-IDRI-{subject:04d}_slice_{number}" if named else f"slice {number}"
        found[name] = {
            "image": rng.integers(0, 256, (128, 128)) / 255,
            "masks": [rng.integers(0, 2, (128, 128), dtype=np.uint8) for _ in range(4)],
            "series_uid": f"1.3.6.{subject}",
            "pixel_spacing": np.array([0.5, 0.5]),
        }
    return found


def write_pickle(folder, content):
    folder.mkdir(parents=True)
    (folder / "data_lidc.pickle").write_bytes(pickle.dumps(content))
    return folder


def examples(builder):
    return {
        example["id"].decode(): example
        for split in builder.info.splits
        for example in tfds.as_numpy(builder.as_dataset(split=split))
    }


def test_a_pickle_gives_its_images_and_masks_split_by_patient(tmp_path):
    content = slices()
    source = write_pickle(tmp_path / "source", content)
    builder = build("lidc_v1/any_count", tmp_path / "data", source)
    counts = {name: split.num_examples for name, split in builder.info.splits.items()}
    assert counts == {"train": 6, "validation": 2, "test": 4}  # of 3, 1 and 2 patients
    found = examples(builder)
    assert found.keys() == content.keys()
    for name, entry in content.items():
        image = np.round(entry["image"] * 65535)
        np.testing.assert_array_equal(found[name]["image"][..., 0], image)
        np.testing.assert_array_equal(found[name]["masks"], np.stack(entry["masks"], axis=-1))
    batch = next(pipeline.train_batches(builder, batch_size=2, seed=0))
    assert batch["image"].dtype == np.uint16
    assert batch["masks"].shape == (2, 128, 128, 4)


def test_both_forms_of_hdf5_are_read_and_a_split_of_its_own_is_kept(tmp_path):
    content = slices()
    for form in ("parts", "names"):
        (tmp_path / form).mkdir()
    with h5py.File(tmp_path / "parts" / "data_lidc.hdf5", "w") as file:
        names = list(content)
        for part, chosen in {"train": names[:7], "val": names[7:9], "test": names[9:]}.items():
            group = file.create_group(part)
            entries = [content[name] for name in chosen]
            group["images"] = np.stack([entry["image"] - 0.5 for entry in entries])
            group["labels"] = np.stack([np.stack(entry["masks"], -1) for entry in entries])
            group["uids"] = np.arange(len(chosen))
    with h5py.File(tmp_path / "names" / "slices.h5", "w") as file:
        for name, entry in content.items():
            for field in ("image", "masks", "series_uid"):
                file[f"{name}/{field}"] = entry[field]
    builder = build("lidc_v1/any_count", tmp_path / "data_parts", tmp_path / "parts")
    counts = {name: split.num_examples for name, split in builder.info.splits.items()}
    assert counts == {"train": 7, "validation": 2, "test": 3}
    found = examples(builder)
    places = [
        f"{part}/{n}" for part, size in (("train", 7), ("val", 2), ("test", 3)) for n in range(size)
    ]
    for place, entry in zip(places, content.values(), strict=True):
        one = found[place]
        np.testing.assert_array_equal(one["image"][..., 0], np.round(entry["image"] * 65535))
        np.testing.assert_array_equal(one["masks"], np.stack(entry["masks"], axis=-1))
    by_name = examples(build("lidc_v1/any_count", tmp_path / "data_names", tmp_path / "names"))
    assert by_name.keys() == content.keys()


def test_the_split_is_scikit_learns_of_the_sorted_subjects():
    series = {f"slice {n}": f"uid{n % 10:02d}" for n in range(30)}
    split = draw_split(series)
    # scikit-learn 1.9.1: train_test_split(sorted uids, test_size=0.2, random_state=0), of whose
    # first part train_test_split(..., test_size=0.25, random_state=0)
    assert {uid for name, uid in series.items() if split[name] == "test"} == {"uid02", "uid08"}
    assert {uid for name, uid in series.items() if split[name] == "val"} == {"uid00", "uid01"}
    of_patients = draw_split({f"LIDC-IDRI-{n % 5:04d}_{n}": f"uid{n}" for n in range(20)})
    for patient in range(5):
        parts = {
            p for name, p in of_patients.items() if name.startswith(f"LIDC-IDRI-{patient:04d}")
        }
        assert len(parts) == 1


def wrong(change):
    content = slices()
    change(content, next(iter(content)))
    return content


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda all_, name: all_[name].pop("masks"), r"_slice_0' has no 'masks'"),
        (lambda all_, name: all_[name].update(masks=all_[name]["masks"][:3]), "has masks of"),
        (lambda all_, name: all_[name]["masks"].__setitem__(1, np.full((128, 128), 2)), "0 and 1"),
        (lambda all_, name: all_[name].update(image=np.zeros((64, 64))), "expected 128x128"),
        (lambda all_, name: all_[name].update(image=np.full((128, 128), 3.0)), "values from 3 to"),
        (lambda all_, name: all_[name].update(image=np.full((128, 128), np.nan)), "from nan"),
        (lambda all_, name: all_[name].update(series_uid=7), "series_uid 7"),
        (lambda all_, name: all_.update({name: [1, 2]}), "has no 'image'"),
        (lambda all_, name: all_.clear(), "expected slices by name"),
        (lambda all_, name: [all_.pop(other) for other in [*all_][1:]], "too few patients"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_left(tmp_path, change, sentence):
    source = write_pickle(tmp_path / "source", wrong(change))
    with pytest.raises(ValueError, match=sentence) as error:
        build("lidc_v1/any_count", tmp_path / "data", source)
    assert "data_lidc.pickle" in str(error.value)
    assert not list((tmp_path / "data").glob("lidc*"))


def test_other_numbers_of_slices_two_files_or_none_are_refused(tmp_path):
    source = write_pickle(tmp_path / "source", slices())
    with pytest.raises(ValueError, match=r"12 slices, expected 15,096.*any_count"):
        build("lidc_v1", tmp_path / "data", source)
    (source / "._more.hdf5").touch()  # of a Mac, and none of the user's
    build("lidc_v1/any_count", tmp_path / "hidden", source)
    (source / "more.hdf5").touch()
    with pytest.raises(ValueError, match=r"data_lidc\.pickle and more\.hdf5: leave one"):
        build("lidc_v1/any_count", tmp_path / "data", source)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"is empty\..*data_lidc\.pickle"):
        build("lidc_v1/any_count", tmp_path / "data", tmp_path / "empty")
    (tmp_path / "empty" / "README.md").touch()
    with pytest.raises(FileNotFoundError, match=r"holds no slices.*data_lidc\.pickle"):
        build("lidc_v1/any_count", tmp_path / "data", tmp_path / "empty")
    (source / "data_lidc.pickle").unlink()
    with pytest.raises(ValueError, match="no HDF5 file"):
        build("lidc_v1/any_count", tmp_path / "data", source)
