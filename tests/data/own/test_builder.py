import concurrent.futures
import pathlib
import time

import jax
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

tfds = pytest.importorskip("tensorflow_datasets")

from configs import own_data as own_config  # noqa: E402
from configs import own_instances as instances_config  # noqa: E402
from hpunet_jax.data import pipeline  # noqa: E402
from hpunet_jax.data.own import builder as own_data  # noqa: E402
from hpunet_jax.data.windows import Windows  # noqa: E402
from hpunet_jax.io import Preparation  # noqa: E402
from hpunet_jax.tasks.targets import draw_targets  # noqa: E402


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_set(folder, shape=(12, 10), dtype=np.uint8, graders=(0, 2), count=3):
    """Images whose last one only the first grader annotated; returns images and masks by id."""
    rng = np.random.default_rng(0)
    written = {}
    for part in ("train", "val", "test"):
        for i in range(count):
            image = rng.integers(0, np.iinfo(dtype).max + 1, shape, dtype)
            masks = rng.choice([0, 1, 2, 255], (*shape[:2], len(graders))).astype(np.uint8)
            if i == count - 1:
                masks[..., 1:] = 255
            save(folder / part / f"images/p/{i}.png", image)
            for k, grader in enumerate(graders[: 1 if i == count - 1 else None]):
                save(folder / part / f"gt/p/{i}_l{grader}.png", masks[..., k])
            written[part, f"p/{i}"] = image.reshape(*shape[:2], -1), masks
    return written


@pytest.mark.parametrize(
    ("shape", "dtype", "graders"),
    [
        ((12, 10), np.uint8, (0, 2)),
        ((12, 10), np.uint16, (1,)),
        ((9, 16, 3), np.uint8, (0, 1, 2, 3, 4, 11)),
    ],
)
def test_any_graders_sizes_and_kinds_of_images_come_back_as_they_are(
    tmp_path, shape, dtype, graders
):
    written = write_set(tmp_path, shape, dtype, graders)
    builder = own_data.load(tmp_path)
    names = {"train": "train", "val": "validation", "test": "test"}
    for part, split in names.items():
        examples = list(tfds.as_numpy(builder.as_dataset(split=split)))
        assert len(examples) == 3
        for example in examples:
            image, masks = written[part, example["id"].decode()]
            np.testing.assert_array_equal(example["image"], image, strict=True)
            np.testing.assert_array_equal(example["masks"], masks, strict=True)
    batch = next(pipeline.train_batches(builder, batch_size=4, seed=0))
    assert batch["image"].shape == (4, *shape[:2], shape[2] if len(shape) > 2 else 1)
    assert (batch["image"].dtype, batch["masks"].dtype) == (dtype, np.uint8)
    assert batch["masks"].shape == (4, *shape[:2], len(graders))
    assert builder.builder_config.num_classes == 3


def test_a_data_set_is_built_once_and_anew_when_files_change(tmp_path, monkeypatch):
    write_set(tmp_path)
    looks = []
    real = own_data.check
    monkeypatch.setattr(own_data, "check", lambda *a, **k: looks.append(a) or real(*a, **k))
    first = own_data.load(tmp_path)
    again = own_data.load(tmp_path)
    assert len(looks) == 1
    assert again.data_path == first.data_path
    changed = np.zeros((12, 10), np.uint8)
    save(tmp_path / "val/images/p/0.png", changed)
    builder = own_data.load(tmp_path)
    assert len(looks) == 2
    examples = {e["id"]: e for e in tfds.as_numpy(builder.as_dataset(split="validation"))}
    assert not examples[b"p/0"]["image"].any()


def test_images_of_several_sizes_are_cropped_or_padded_to_one(tmp_path):
    write_set(tmp_path)
    save(tmp_path / "test/images/p/0.png", np.full((6, 20), 9, np.uint8))
    for grader in (0, 2):
        save(tmp_path / f"test/gt/p/0_l{grader}.png", np.ones((6, 20), np.uint8))
    builder = own_data.load(tmp_path, size=(8, 10), cache=tmp_path / "elsewhere")
    assert not (tmp_path / ".tfds").exists()
    examples = {e["id"]: e for e in tfds.as_numpy(builder.as_dataset(split="test"))}
    padded = np.zeros((8, 10), np.uint8)
    padded[1:7] = 9
    np.testing.assert_array_equal(examples[b"p/0"]["image"][..., 0], padded)
    expected = np.where(padded, 1, 255)
    np.testing.assert_array_equal(examples[b"p/0"]["masks"], np.stack([expected] * 2, axis=-1))


def test_masks_of_0_and_255_are_built_as_classes_when_the_config_says_so(tmp_path):
    write_set(tmp_path, graders=(0,))
    marked = np.eye(12, 10, dtype=np.uint8)
    for path in tmp_path.rglob("*_l0.png"):
        save(path, 255 * marked)
    with pytest.raises(ValueError, match=r"set data\.foreground=255"):
        own_data.load(tmp_path)
    config = config_for(tmp_path, **{"data.foreground": 255, "model.num_classes": 2})
    builder = pipeline.open_data_set(config)
    assert builder.builder_config.num_classes == 2
    example = next(iter(tfds.as_numpy(builder.as_dataset(split="train"))))
    np.testing.assert_array_equal(example["masks"][..., 0], marked)


def test_a_data_set_that_cannot_be_built_in_its_folder_is_told_where_else(tmp_path):
    folder, elsewhere = tmp_path / "data [1]", tmp_path / "cache"
    write_set(folder)
    with pytest.raises(ValueError, match=r"data\.cache_dir=.* has a '\[', which the library"):
        own_data.load(folder)
    builder = pipeline.open_data_set(config_for(folder, **{"data.cache_dir": str(elsewhere)}))
    assert elsewhere in pathlib.Path(builder.data_path).parents
    folder.rename(tmp_path / "data")
    (tmp_path / "data/.tfds").touch()  # a file in the place of the folder
    with pytest.raises(OSError, match=r"\.tfds, which cannot be written .*: set data\.cache_dir"):
        own_data.load(tmp_path / "data")
    assert len(list(tfds.as_numpy(builder.as_dataset(split="train")))) == 3


def test_several_at_once_build_a_data_set_once(tmp_path, monkeypatch):
    write_set(tmp_path)
    built = []
    real = own_data.OwnData.download_and_prepare
    monkeypatch.setattr(
        own_data.OwnData,
        "download_and_prepare",
        lambda *a, **k: built.append(1) or time.sleep(0.1) or real(*a, **k),
    )
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        builders = list(pool.map(own_data.load, [tmp_path] * 4))
    assert len(built) == 1
    assert all(builder.is_prepared() for builder in builders)
    description = pathlib.Path(builders[0].data_path) / "dataset_info.json"
    for damaged in (description, next((tmp_path / ".tfds").glob("*.json"))):
        damaged.write_text('{"size')
        assert own_data.load(tmp_path).info.splits["train"].num_examples == 3
    assert len(built) == 3


def test_8_bits_where_16_were_promised_are_refused(tmp_path):
    write_set(tmp_path)
    with pytest.raises(ValueError, match=r"9 problem\(s\)") as error:
        own_data.load(tmp_path, bits=16)
    assert "train/images/p/0.png is grey 8 bit; expected grey 16 bit" in str(error.value)


def test_the_builder_alone_says_how_to_load_own_data(tmp_path):
    with pytest.raises(ValueError, match=r"own\.builder\.load\(folder\)"):
        own_data.OwnData(data_dir=tmp_path)


@pytest.fixture(scope="module")
def three_classes(tmp_path_factory):
    """A folder with grey images of 12x10 pixels and masks of the classes 0 to 2."""
    folder = tmp_path_factory.mktemp("own")
    write_set(folder)
    return folder


def config_for(folder, **fields):
    config = own_config.get_config()
    overrides = {"data.dir": str(folder), "data.crop": (8, 8), "model.num_classes": 3, **fields}
    config.update_from_flattened_dict(overrides)
    return config


def test_a_config_opens_own_data_by_its_folder(three_classes):
    builder = pipeline.open_data_set(config_for(three_classes))
    assert builder.info.features["masks"].shape == (12, 10, 2)
    config = config_for("elsewhere", **{"data.size": (9, 16)})
    resized = pipeline.open_data_set(config, three_classes)
    assert resized.info.features["image"].shape == (9, 16, 1)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("model.num_classes", 2, r"classes 0 to 2: set --config\.model\.num_classes=3\."),
        ("model.image_channels", 3, r"have 1.*: set --config\.model\.image_channels=1\."),
        ("data.crop", (8, 12), r"images of the data set 'own_data' are 12x10: choose a smaller"),
        ("data.bits", 16, "is grey 8 bit; expected grey 16 bit"),
    ],
)
def test_a_config_that_does_not_fit_own_data_is_told_what_to_set(
    three_classes, field, value, words
):
    centre = {"data.whole_images": False}
    with pytest.raises(ValueError, match=words) as error:
        pipeline.open_data_set(config_for(three_classes, **centre, **{field: value}))
    if field == "data.bits":
        assert "9 problem(s)" in str(error.value)
        assert "hpunet check_data --dir=" in str(error.value)


def test_volumes_windows_and_named_graders_are_built_and_found_again(tmp_path):
    ct = np.random.default_rng(0).integers(-1000, 1000, (3, 12, 10)).astype(np.int16)
    mask = (ct > 0).astype(np.uint8)
    for folder, array in (("images", ct), ("gt/ann", mask), ("gt/ben", 1 - mask)):
        path = tmp_path / "train" / folder / "ct.nii.gz"
        path.parent.mkdir(parents=True)
        sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    preparation = Preparation(window=(-1000.0, 1000.0))
    config = config_for(tmp_path, **{"data.window": (-1000.0, 1000.0)})
    builder = pipeline.open_data_set(config)
    assert builder.builder_config.graders == ("ann", "ben")
    examples = {
        example["id"].decode(): example
        for example in tfds.as_numpy(builder.as_dataset(split="train"))
    }
    assert sorted(examples) == ["ct#0", "ct#1", "ct#2"]
    expected = preparation.images(ct[..., None], None, "ct")
    for number, example in enumerate(examples[name] for name in sorted(examples)):
        np.testing.assert_array_equal(example["image"], expected[number], strict=True)
        np.testing.assert_array_equal(example["masks"][..., 0], mask[number], strict=True)
        np.testing.assert_array_equal(example["masks"][..., 1], 1 - mask[number], strict=True)
    again = own_data.load(tmp_path, preparation=preparation)
    assert again.data_path == builder.data_path
    other = own_data.load(tmp_path, preparation=Preparation(window=(0.0, 1.0)))
    assert other.data_path != builder.data_path


def test_instances_are_built_and_feed_training(tmp_path):
    rng = np.random.default_rng(0)
    ids = np.kron(np.arange(6).reshape(2, 3), np.ones((6, 4), int)).astype(np.uint16) * 300
    for part in ("train", "test"):
        save(tmp_path / part / "images/a.png", rng.integers(0, 256, (12, 12), np.uint8))
        save(tmp_path / part / "instances/a.png", ids)
    config = instances_config.get_config("small").unlock()
    config.data.dir, config.data.crop = str(tmp_path), (8, 8)
    config.model.num_scales = 4
    builder = pipeline.open_data_set(config)
    (example,) = tfds.as_numpy(builder.as_dataset(split="test"))
    np.testing.assert_array_equal(example["instances"], ids // 300, strict=True)
    windows = Windows.from_config(config)
    batch = next(pipeline.train_batches(builder, batch_size=2, seed=0, windows=windows))
    assert batch["instances"].dtype == np.uint16
    shapes = {name: (value.shape[1:], value.dtype) for name, value in batch.items()}
    assert pipeline.example_shapes(config) == shapes
    targets = draw_targets(jax.random.key(0), batch, config.data.num_ids)
    assert set(np.unique(targets)) <= set(range(6))
