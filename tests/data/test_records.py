import numpy as np
import pytest

pytest.importorskip("tensorflow_datasets")

from hpunet_jax.data import pipeline, reading, records
from hpunet_jax.data.tensorflow import tf, tfds


class RecordsTestNumbers(tfds.core.GeneratorBasedBuilder):
    """Numbers, in files of several shards."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {"number": tfds.features.Scalar(np.int64), "id": tfds.features.Text()}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number in range(50):
            yield number, {"number": number, "id": "x" * number}


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    builder = RecordsTestNumbers(data_dir=tmp_path_factory.mktemp("tfds"))
    shards = tfds.download.DownloadConfig(num_shards=3)
    builder.download_and_prepare(download_config=shards)
    return builder


@pytest.mark.parametrize("split", ["train", "train[:7]", "train[20:41]", "train[45:]"])
def test_examples_are_found_in_any_order_as_a_pass_over_the_split_finds_them(builder, split):
    batch = next(pipeline.eval_batches(builder, split=split, batch_size=50))
    example = reading.random_examples(builder, split)
    order = np.random.default_rng(0).permutation(len(batch["number"]))
    found = tf.data.Dataset.from_tensor_slices(order).map(example).as_numpy_iterator()
    assert [one["number"] for one in found] == batch["number"][order].tolist()


def test_the_index_knows_all_files_and_nothing_else_is_kept(builder):
    places = records.index(builder, "train")
    assert len(places.files) == 3
    assert np.unique(places.file, return_counts=True)[0].tolist() == [0, 1, 2]
    assert len(places.offset) == 50


def test_files_of_another_format_are_named(builder, monkeypatch):
    other = tfds.core.file_adapters.FileFormat.ARRAY_RECORD
    monkeypatch.setattr(type(builder.info), "file_format", other)
    with pytest.raises(ValueError, match="stored as array_record files, but training reads"):
        reading.random_examples(builder, "train")
