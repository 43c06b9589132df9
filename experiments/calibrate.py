"""Finds out which images are usual for a model, so that programs warn of others.

    hpunet calibrate --workdir=runs/demo

describes the images of the validation split by the encoder's finest features and writes
<workdir>/calibration.npz beside the checkpoints. From then on `sample`, `segment` and `explore` say
in a sentence when an image is unlike them, and `export` takes the calibration into the model file.
It belongs to the weights that made it: after further training, calibrate again.
"""

import numpy as np
from absl import flags

import hpunet_jax
from experiments import program
from hpunet_jax.buckets import place
from hpunet_jax.files import is_folder, write_aside
from hpunet_jax.inference.calibration import calibrate
from hpunet_jax.inference.loading import CALIBRATION
from hpunet_jax.tasks.crop import evaluation_crop

_WORKDIR = flags.DEFINE_string("workdir", None, "Work directory of a training run.")
_STEP = flags.DEFINE_integer("step", None, "Which checkpoint; default: the newest.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Default: the config's data.dir.")
_SPLIT = flags.DEFINE_string("split", "validation", "Images that are not trained on.")
flags.mark_flag_as_required("workdir")


def main(_) -> None:
    from hpunet_jax.data import pipeline

    workdir = place(_WORKDIR.value, "--workdir")
    if not is_folder(workdir):
        raise ValueError(f"--workdir={workdir} is no folder: give that of a training run.")
    model = hpunet_jax.load(workdir, _STEP.value)
    if model.extrapolates:
        raise ValueError(f"{workdir} holds a model that extrapolates; these are not calibrated.")
    config = model.config
    builder = pipeline.open_data_set(config, _DATA_DIR.value)
    size = config.evaluation.batch_size
    batches = pipeline.eval_batches(builder, split=_SPLIT.value, batch_size=size)
    images = (evaluation_crop(batch, config.data.crop)["image"] for batch in batches)
    calibration = calibrate(map(model.describe, images), model.digest())
    out = workdir / CALIBRATION
    with write_aside(out) as aside:
        np.savez_compressed(aside, **calibration.to_arrays())
    print(f"calibration: {out}")


if __name__ == "__main__":
    program.run(main)
