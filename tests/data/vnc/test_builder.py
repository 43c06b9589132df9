"""The builder: splits by section, and a batch that training takes."""

import numpy as np
import pytest

tfds = pytest.importorskip("tensorflow_datasets")

from configs import vnc_hpunet  # noqa: E402
from hpunet_jax.data import catalogue, pipeline  # noqa: E402
from hpunet_jax.data.vnc import builder as vnc  # noqa: E402


def test_sections_are_split_and_cut(write_sections, tmp_path):
    write_sections(tmp_path / "raw" / "stack1")
    config = tfds.download.DownloadConfig(manual_dir=tmp_path / "raw")
    vnc.Vnc(data_dir=tmp_path / "tfds").download_and_prepare(download_config=config)
    built = catalogue.load_builder("vnc", tmp_path / "tfds")
    counts = {split: info.num_examples for split, info in built.info.splits.items()}
    assert counts == {"train": 686, "validation": 48, "test": 48}
    for split, numbers in (("validation", {14, 15, 16}), ("test", {17, 18, 19})):
        names = [one["id"].decode() for one in tfds.as_numpy(built.as_dataset(split=split))]
        assert {int(name[1:3]) for name in names} == numbers
        assert len(set(names)) == 48

    config = vnc_hpunet.get_config()
    pipeline.check_config(config, built)
    batch = next(pipeline.train_batches(built, batch_size=2, seed=0))
    assert batch["instances"].dtype == np.uint16
    assert batch["image"].shape == (2, 64, 64, 1)
