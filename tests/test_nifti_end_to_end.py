"""A folder of NIfTI volumes with two graders: checked, trained on, evaluated, sampled in place."""

import jax
import numpy as np
import pytest
import SimpleITK as sitk

import hpunet_jax
from configs import own_data
from hpunet_jax.config import check_config
from hpunet_jax.data import pipeline
from hpunet_jax.data.own.check import check
from hpunet_jax.evaluation import protocols
from hpunet_jax.inference.outputs import settings_of
from hpunet_jax.inference.sample_files import write_samples
from hpunet_jax.inference.volumes import read_for
from hpunet_jax.io import Preparation
from hpunet_jax.training import train

WINDOW = (-1000.0, 400.0)
DIRECTION = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def write(path, array, number):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.7, 0.7, 2.5))
    image.SetOrigin((-100.0 + number, 20.5, 30.25))
    image.SetDirection(DIRECTION)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


@pytest.fixture
def folder(tmp_path):
    """Three volumes of three slices: a ball of soft tissue in air, outlined by two graders."""
    z, y, x = np.mgrid[:3, :24, :20]
    for number, (part, name) in enumerate((("train", "a"), ("train", "b"), ("test", "c"))):
        distance = np.sqrt((z - 1) ** 2 + (y - 10 - number) ** 2 + (x - 9) ** 2)
        values = np.where(distance < 6, 40, -900) + np.random.default_rng(number).normal(
            0, 40, z.shape
        )
        write(tmp_path / part / "images" / f"{name}.nii.gz", values.astype(np.int16), number)
        for grader, radius in (("first", 5), ("second", 6)):
            mask = (distance < radius).astype(np.uint8)
            write(tmp_path / part / "gt" / grader / f"{name}.nii.gz", mask, number)
    return tmp_path


def test_nifti_goes_through_check_train_and_evaluate_and_comes_back_in_place(
    folder, tiny_config, tmp_path
):
    preparation = Preparation(window=WINDOW)
    report = check(folder, preparation=preparation)
    assert not report.problems
    config = own_data.get_config().unlock()
    config.update(tiny_config)
    config.data.update(name="own_data", dir=str(folder), window=WINDOW, crop=(16, 16))
    config.model.update(num_scales=3, latent_dims=(1,), convs_per_block=1)  # compiles fast
    config.training.update(steps=2, checkpoint_every=2, batch_size=2)
    config.evaluation.update(num_samples=2, batch_size=3)
    check_config(config.lock())
    builder = pipeline.open_data_set(config)
    assert pipeline.num_examples(builder, "test") == 3  # slices

    def batches(step):
        return pipeline.train_batches(
            builder,
            batch_size=2,
            seed=0,
            start_step=step,
            windows=pipeline.Windows.from_config(config),
        )

    train(config, tmp_path / "run", batches, devices=jax.devices()[:1])
    model = hpunet_jax.load(tmp_path / "run")

    def examples(split):
        return pipeline.eval_batches(builder, split=split, batch_size=1)

    scores = protocols.evaluate(
        model,
        config,
        examples("test"),
        training_batches=lambda: examples("train"),
        num_images=3,
        numbers=[],
    )
    assert np.isfinite(scores.rows["model"]["ged2"]).all()

    prepared = Preparation.from_config(model.config.data)
    assert prepared == preparation  # the run knows how its images were prepared
    source = folder / "test" / "images" / "c.nii.gz"
    slices = read_for(model, source, prepared)
    settings = settings_of("sample", model.digest(), slices, prepared, num_samples=2, seed=0)
    files = write_samples(model, slices, tmp_path / "out", settings, num_samples=2, seed=0)
    original = sitk.ReadImage(str(source))
    for file in files:
        written = sitk.ReadImage(str(file))
        assert written.GetSize() == original.GetSize()
        for voxel in np.ndindex(*original.GetSize()):
            np.testing.assert_allclose(
                written.TransformIndexToPhysicalPoint(voxel),
                original.TransformIndexToPhysicalPoint(voxel),
                atol=1e-4,
            )
