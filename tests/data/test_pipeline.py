import itertools
import pathlib
import re
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

pytest.importorskip("tensorflow_datasets")

import hpunet_jax
from hpunet_jax.data import catalogue, pipeline
from hpunet_jax.data.tensorflow import tfds

NUM_TRAIN, NUM_TEST = 10, 7


class PipelineTestSquares(tfds.core.GeneratorBasedBuilder):
    """Images whose every pixel is the example's number, stored in each way our builders use."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 1)),
                    "masks": tfds.features.Image(shape=(6, 5, 4), encoding_format="png"),
                    "instances": tfds.features.Tensor(
                        shape=(6, 5), dtype=np.uint16, encoding="zlib"
                    ),
                    "number": tfds.features.Scalar(np.int64),
                    "id": tfds.features.Text(),
                }
            )
        )

    def _split_generators(self, dl_manager):
        return {
            "train": self._generate_examples(0, NUM_TRAIN),
            "test": self._generate_examples(100, NUM_TEST),
            "uneven": self._generate_examples(200, 3, grow=1),
        }

    def _generate_examples(self, start, count, grow=0):
        for i in range(start, start + count):
            yield (
                i,
                {
                    "image": np.full((6 + grow * (i - start), 5, 1), i, np.uint8),
                    "masks": np.arange(4, dtype=np.uint8) + np.full((6, 5, 1), i % 100, np.uint8),
                    "instances": np.full((6, 5), 1000 + i, np.uint16),
                    "number": i,
                    "id": f"square {i}",
                },
            )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("tfds")


@pytest.fixture(scope="module")
def builder(data_dir):
    builder = PipelineTestSquares(data_dir=data_dir)
    builder.download_and_prepare()
    return builder


def numbers(batches, count):
    return [batch["number"].tolist() for batch in itertools.islice(batches, count)]


def test_batches_hold_every_numeric_feature_as_stored_and_no_text(builder):
    batch = next(pipeline.train_batches(builder, batch_size=4, seed=0))
    assert {name: (value.dtype, value.shape) for name, value in batch.items()} == {
        "image": (np.uint8, (4, 6, 5, 1)),
        "masks": (np.uint8, (4, 6, 5, 4)),
        "instances": (np.uint16, (4, 6, 5)),
        "number": (np.int64, (4,)),
    }
    for i, number in enumerate(batch["number"]):
        np.testing.assert_array_equal(batch["image"][i], number)
        np.testing.assert_array_equal(batch["masks"][i, 2, 3], number + np.arange(4))
        np.testing.assert_array_equal(batch["instances"][i], 1000 + number)


def test_every_epoch_holds_each_example_once_in_a_new_order(builder):
    batches = numbers(pipeline.train_batches(builder, batch_size=4, seed=3), 10)
    epochs = np.reshape(batches, (4, NUM_TRAIN))  # 10 batches of 4 are 4 epochs of 10
    np.testing.assert_array_equal(np.sort(epochs), np.tile(np.arange(NUM_TRAIN), (4, 1)))
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_the_order_is_that_of_the_permutations_of_the_epochs():
    positions = np.array([[0, 9, 10], [25, 19, 1_000_000_003]])
    found = pipeline.example_order(10, 5, positions)
    for position, number in zip(positions.ravel(), found.ravel(), strict=True):
        epoch, place = divmod(int(position), 10)
        assert number == np.random.default_rng([5, epoch]).permutation(10)[place]
    assert found.shape == positions.shape


def test_the_stream_goes_on_over_the_pieces_in_which_its_order_is_made(builder, monkeypatch):
    whole = numbers(pipeline.train_batches(builder, batch_size=4, seed=5), 12)
    for piece in (4, 12, 1):
        monkeypatch.setattr(pipeline, "_PIECE", piece)
        assert numbers(pipeline.train_batches(builder, batch_size=4, seed=5), 12) == whole


@pytest.mark.parametrize("start", [1, 2, 3, 7])
def test_resuming_at_a_step_continues_the_uninterrupted_sequence(builder, start):
    whole = list(itertools.islice(pipeline.train_batches(builder, batch_size=4, seed=5), 10))
    resumed = pipeline.train_batches(builder, batch_size=4, seed=5, start_step=start)
    for expected, found in zip(whole[start:], resumed, strict=False):
        assert expected.keys() == found.keys()
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name])


def test_the_seed_determines_the_order(builder):
    first, again, other = (
        numbers(pipeline.train_batches(builder, batch_size=5, seed=seed), 4) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("batch_size", [4, 24])
def test_rows_of_two_processes_together_are_the_batch_of_one(builder, batch_size):
    arguments = {"batch_size": batch_size, "seed": 7, "start_step": 2}
    whole = numbers(pipeline.train_batches(builder, **arguments), 5)
    parts = [
        numbers(pipeline.train_batches(builder, **arguments, process_index=i, process_count=2), 5)
        for i in range(2)
    ]
    assert [a + b for a, b in zip(*parts, strict=True)] == whole


def test_a_batch_larger_than_the_split_goes_on_into_the_next_epochs(builder):
    (batch,) = numbers(pipeline.train_batches(builder, batch_size=3 * NUM_TRAIN, seed=0), 1)
    assert sorted(batch) == sorted(3 * list(range(NUM_TRAIN)))


def test_starting_at_a_late_step_costs_no_time(builder):
    started = time.perf_counter()
    late = pipeline.train_batches(builder, batch_size=NUM_TRAIN, seed=0, start_step=10**9)
    assert sorted(next(late)["number"]) == list(range(NUM_TRAIN))
    assert time.perf_counter() - started < 20


def test_evaluation_reads_each_example_once_in_a_fixed_order(builder):
    first, again = (
        list(pipeline.eval_batches(builder, split="test", batch_size=3)) for _ in range(2)
    )
    assert [len(batch["image"]) for batch in first] == [3, 3, 1]
    order = np.concatenate([batch["number"] for batch in first])
    assert sorted(order) == list(range(100, 100 + NUM_TEST))
    np.testing.assert_array_equal(order, np.concatenate([b["number"] for b in again]))
    assert all("id" not in batch for batch in first)
    limited = pipeline.eval_batches(builder, split="test", batch_size=3, limit=4)
    np.testing.assert_array_equal(np.concatenate([b["number"] for b in limited]), order[:4])


def test_num_examples_counts_splits_and_parts_of_them(builder):
    assert pipeline.num_examples(builder, "train") == NUM_TRAIN
    assert pipeline.num_examples(builder, "test[:3]") == 3
    with pytest.raises(ValueError, match=r"no split 'validation'.* test, train"):
        pipeline.num_examples(builder, "validation")


def test_examples_of_different_sizes_in_a_batch_are_an_error_in_words(builder):
    with pytest.raises(ValueError, match="must all have one size"):
        list(pipeline.eval_batches(builder, split="uneven", batch_size=3))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"batch_size": 3, "process_count": 2}, "multiple of the number of processes"),
        ({"process_index": 2, "process_count": 2}, "expected 0 to 1"),
        ({"start_step": -1}, "start_step is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"split": "dev"}, "no split 'dev'"),
    ],
)
def test_wrong_arguments_are_refused_before_the_first_batch(builder, arguments, words):
    with pytest.raises(ValueError, match=words):
        pipeline.train_batches(builder, **({"batch_size": 4, "seed": 0} | arguments))


def test_a_name_without_a_builder_is_refused():
    for name in ("no_such_data", "pipeline", "../etc"):
        with pytest.raises(ValueError, match="data set"):
            catalogue.load_builder(name, "somewhere")
    with pytest.raises(ValueError, match="did you mean 'lidc_crops'"):
        catalogue.load_builder("lidc_crop/any_count", "somewhere")


def test_loading_finds_a_built_data_set_and_says_how_to_build_a_missing_one(
    builder, data_dir, tmp_path, monkeypatch
):
    monkeypatch.setitem(catalogue.BUILDERS, "pipeline_test_squares", "sys")  # registered above
    loaded = catalogue.load_builder("pipeline_test_squares", data_dir)
    assert numbers(pipeline.eval_batches(loaded, split="test", batch_size=9), 1)
    command = f"hpunet build_data --name=pipeline_test_squares --data_dir={tmp_path}"
    with pytest.raises(FileNotFoundError, match=command):
        catalogue.load_builder("pipeline_test_squares", tmp_path)


def test_a_stream_that_is_left_lets_python_exit(tmp_path):
    """It is still open at the exit, in a global name and in the middle of a batch."""
    program = """
        from hpunet_jax.data import pipeline
        from tests.data.test_pipeline import PipelineTestSquares
        builder = PipelineTestSquares(data_dir={folder!r})
        builder.download_and_prepare()
        batches = pipeline.train_batches(builder, batch_size=4, seed=0)
        next(batches)
        closed = pipeline.train_batches(builder, batch_size=4, seed=0)
        next(closed)
        closed.close()
        assert next(closed, None) is None
    """
    program = textwrap.dedent(program).format(folder=str(tmp_path))
    root = pathlib.Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, cwd=root
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_tensorflow_is_imported_in_one_place_and_sees_no_gpu():
    folder = pathlib.Path(hpunet_jax.__file__).parent
    pattern = re.compile(r"^\s*(import|from) tensorflow", re.MULTILINE)
    found = [path for path in folder.rglob("*.py") if pattern.search(path.read_text("utf-8"))]
    assert [path.relative_to(folder).as_posix() for path in found] == ["data/tensorflow.py"]
    from hpunet_jax.data.tensorflow import tf

    assert tf.config.get_visible_devices("GPU") == []
