"""Building data sets: whole or not at all, once, and known by what they were built from."""

import pathlib
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("tensorflow_datasets")

from hpunet_jax.data import catalogue, pipeline
from hpunet_jax.data.building import build
from hpunet_jax.data.tensorflow import tf, tfds


class BuildingTestNumbers(tfds.core.GeneratorBasedBuilder):
    """One example for each file `<number>.bin` of a folder; `bad.bin` cannot be used."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Put numbers there."

    def _info(self):
        features = {"number": tfds.features.Scalar(np.int64)}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"test": self._generate_examples(dl_manager.manual_dir)}

    def _generate_examples(self, folder):
        for path in sorted(pathlib.Path(folder).glob("*.bin")):
            if path.stem == "bad":
                raise ValueError("bad.bin is no number.")
            yield path.stem, {"number": int(path.stem)}
        time.sleep(0.2)


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(catalogue.BUILDERS, "building_test_numbers", "sys")  # registered above


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.bin").write_bytes(b"x")
    return folder


NAME = "building_test_numbers"


def numbers(builder):
    batches = pipeline.eval_batches(builder, split="test", batch_size=9)
    return sorted(np.concatenate([batch["number"] for batch in batches]).tolist())


def test_a_built_data_set_is_left_alone_while_its_source_is_the_same(tmp_path, source):
    data_dir = tmp_path / "data"
    builder = build(NAME, data_dir, source)
    assert numbers(builder) == [0, 1, 2]
    (source / "report.txt").write_text("a report is no data")
    built = (pathlib.Path(builder.data_path) / "dataset_info.json").stat().st_mtime_ns
    for again in (source, None):
        path = pathlib.Path(build(NAME, data_dir, again).data_path)
        assert (path / "dataset_info.json").stat().st_mtime_ns == built


def test_a_data_set_in_the_folder_of_its_source_is_no_part_of_it(tmp_path, source):
    for _ in range(2):
        assert numbers(build(NAME, source / "built", source)) == [0, 1, 2]
    with pytest.raises(ValueError, match="is the folder where data sets are built"):
        build(NAME, source, source)


def test_a_full_disk_is_named_and_nothing_is_left_on_it(tmp_path, source, monkeypatch):
    def full(self, folder):
        yield 0, {"number": 0}
        raise tf.errors.ResourceExhaustedError(None, None, "a.tfrecord; No space left on device")

    monkeypatch.setattr(BuildingTestNumbers, "_generate_examples", full)
    with pytest.raises(OSError, match=r"data cannot be written \(No space left .*make room"):
        build(NAME, tmp_path / "data", source)
    assert [path.name for path in (tmp_path / "data").iterdir()] == [".lock"]


def test_another_source_is_refused_and_replaces_the_data_when_asked_to(tmp_path, source):
    data_dir, other = tmp_path / "data", tmp_path / "other"
    build(NAME, data_dir, source)
    other.mkdir()
    (other / "7.bin").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"was built from other files, in .*source.*--rebuild"):
        build(NAME, data_dir, other)
    (source / "3.bin").write_bytes(b"x")
    with pytest.raises(ValueError, match="was built from other files"):
        build(NAME, data_dir, source)
    assert numbers(build(NAME, data_dir)) == [0, 1, 2]
    assert numbers(build(NAME, data_dir, other, rebuild=True)) == [7]
    assert numbers(build(NAME, data_dir, other)) == [7]


def test_what_cannot_be_built_leaves_what_is_there_and_nothing_half_built(tmp_path, source):
    data_dir = tmp_path / "data"
    (source / "bad.bin").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"bad\.bin is no number"):
        build(NAME, data_dir, source)
    assert [path.name for path in data_dir.iterdir()] == [".lock"]
    (source / "bad.bin").unlink()
    build(NAME, data_dir, source)
    (source / "bad.bin").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"bad\.bin is no number"):
        build(NAME, data_dir, source, rebuild=True)
    assert numbers(build(NAME, data_dir)) == [0, 1, 2]


@pytest.mark.parametrize("source", [None, ""])
def test_without_a_source_the_program_says_what_it_needs(tmp_path, source):
    with pytest.raises(ValueError, match=r"give their folder, as in --source=.*Put numbers there"):
        build(NAME, tmp_path / "data", source)
    assert not (tmp_path / "data").exists()
    with pytest.raises(FileNotFoundError, match="nothing is no folder"):
        build(NAME, tmp_path / "data", tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"own_data is built from its folder by.*check_data"):
        build("own_data", tmp_path / "data", tmp_path)
    with pytest.raises(ValueError, match="not built from files: leave --source"):
        build("neurites_phantom", tmp_path / "data", tmp_path)


def test_of_several_processes_one_builds_and_the_others_wait(tmp_path, source, monkeypatch):
    """Threads stand for processes: each opens the lock's file anew."""
    built = []
    generate = BuildingTestNumbers._generate_examples
    monkeypatch.setattr(
        BuildingTestNumbers,
        "_generate_examples",
        lambda self, folder: built.append(folder) or generate(self, folder),
    )
    with ThreadPoolExecutor(3) as pool:
        builders = list(pool.map(lambda _: build(NAME, tmp_path / "data", source), range(3)))
    assert [numbers(builder) for builder in builders] == [[0, 1, 2]] * 3
    assert len(built) == 1


def test_a_damaged_description_is_named_and_can_be_rebuilt(tmp_path, source):
    data_dir = tmp_path / "data"
    path = pathlib.Path(build(NAME, data_dir, source).data_path)
    (path / "dataset_info.json").write_text("{")
    with pytest.raises(ValueError, match=r"description of the data set .* is damaged.*--rebuild"):
        build(NAME, data_dir, source)
    assert numbers(build(NAME, data_dir, source, rebuild=True)) == [0, 1, 2]


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone", "empty"])
def test_damaged_records_are_named_when_they_are_read(tmp_path, source, damage):
    builder = build(NAME, tmp_path / "data", source)
    (shard,) = pathlib.Path(builder.data_path).glob("*.tfrecord*")
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= damage == "flipped"
    shard.write_bytes(data[: {"cut": len(data) // 2, "empty": 0}.get(damage)])
    if damage == "gone":
        shard.unlink()
    for read in (
        lambda: numbers(builder),
        lambda: next(pipeline.train_batches(builder, split="test", batch_size=3, seed=0)),
    ):
        with pytest.raises(ValueError, match=r"building_test_numbers.* is damaged: "):
            read()


def test_folders_that_would_be_taken_for_a_pattern_or_an_address_are_refused(tmp_path, source):
    with pytest.raises(ValueError, match="has a '\\['"):
        build(NAME, tmp_path / "data[1]", source)
    with pytest.raises(ValueError, match="is in a bucket, but must be a local"):
        build(NAME, "gs://bucket/data", source)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]
