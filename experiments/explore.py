"""Starts the page on which a person chooses among hypotheses and moves latents.

    hpunet explore --checkpoint=runs/demo --images=scans/ --out=explored

Open the address that it prints. Without --images it shows test images of the model's data set, with
what their graders drew. What is saved goes to --out: a label map, and a JSON file from which it can
be made again. It answers to this machine alone; --host=0.0.0.0 opens it to others, with a token.
Research software, not for clinical use.
"""

import secrets
from collections.abc import Sequence

import numpy as np
import uvicorn
from absl import flags

import hpunet_jax
from experiments import checkpoint_flags, preparation_flags, program
from hpunet_jax.app.explorer import Explorer
from hpunet_jax.app.pictures import Picture, Pictures, example_picture, file_pictures
from hpunet_jax.app.server import LOCAL, bound, build_app
from hpunet_jax.folders import check_local, check_out
from hpunet_jax.inference.inputs import check_takes_images_alone
from hpunet_jax.io import check_apart, find_images
from hpunet_jax.tasks.crop import centre_crop

flags.adopt_module_key_flags(checkpoint_flags)
flags.adopt_module_key_flags(preparation_flags)
_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Work directory or model file.")
_IMAGES = flags.DEFINE_string(
    "images", None, "Image, volume, DICOM series, or a folder; default: test images."
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Default: the config's data.dir.")
_OUT = flags.DEFINE_string("out", "explored", "Folder for what is saved.")
_COUNT = flags.DEFINE_integer("count", 100, "Test images, spread over the split.", lower_bound=1)
_HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to answer at.")
_PORT = flags.DEFINE_integer(
    "port", 8321, "Port; 0: any that is free.", lower_bound=0, upper_bound=65535
)
flags.mark_flag_as_required("checkpoint")


def main(_: Sequence[str]) -> None:
    out = check_out(check_local(_OUT.value, "--out"), "--out")
    listening, address = bound(_HOST.value, _PORT.value)  # before the model takes its time
    model = checkpoint_flags.load(_CHECKPOINT.value)
    check_takes_images_alone(model.extrapolates)
    pictures = of_files(model) if _IMAGES.value else of_data_set(model)
    explorer = Explorer(model, _CHECKPOINT.value, pictures, str(out))
    token = None if _HOST.value in LOCAL else secrets.token_urlsafe(16)
    query = f"?token={token}" if token else ""
    print(f"explore: {address}{query}   (Ctrl-C ends it)", flush=True)
    app = build_app(explorer, _HOST.value, token)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


def of_files(model: hpunet_jax.Model) -> Pictures:
    """The image files, volumes and DICOM series of --images."""
    check_apart(_OUT.value, _IMAGES.value)
    paths = find_images(_IMAGES.value).images
    return file_pictures(model, paths, preparation_flags.preparation(model.config.get("data")))


def of_data_set(model: hpunet_jax.Model) -> Pictures:
    """Test images of the model's data set, cropped as in the evaluation."""
    from hpunet_jax.data import pipeline

    config = model.config
    builder = pipeline.open_data_set(config, _DATA_DIR.value)
    split = config.evaluation.split
    size = pipeline.num_examples(builder, split)
    numbers = np.unique(np.linspace(0, size - 1, min(_COUNT.value, size)).astype(int)).tolist()
    source = f"{builder.info.full_name}, {split} split"

    def opened(number: int, _: int) -> Picture:
        n = numbers[number]
        batch = next(pipeline.eval_batches(builder, split=f"{split}[{n}:{n + 1}]", batch_size=1))
        maps = {name: batch[name] for name in ("image", "masks") if name in batch}
        crop = tuple(config.data.crop)
        example = {name: centre_crop(value, crop)[0] for name, value in maps.items()}
        return example_picture(example, f"{split}_{n}", f"{source}, example {n}")

    return Pictures([f"{split} {n}" for n in numbers], opened)


if __name__ == "__main__":
    program.run(main)
