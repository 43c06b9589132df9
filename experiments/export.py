"""Writes a trained network as one small file, for sampling elsewhere.

    hpunet export --workdir=runs/demo --out=my_model.npz
    hpunet export --workdir=runs/demo --out=my_model.zip --format=onnx --size=128,128

The .npz file holds a checkpoint's parameters and config, and is read by `hpunet_jax.load` (or any
program's --workdir) like the work directory itself; training cannot go on from it. Where data and
earlier weights lay on this machine, it does not say. The models in
hpunet_jax/pretrained were written so; `hpunet_jax.load("pretrained/<name>")` finds them.

With --format=stablehlo or onnx the network itself leaves Python: two functions, encode and decode,
for images of one size, see hpunet_jax/inference/portable.py and docs/portable.md.
"""

from absl import flags

from experiments import checkpoint_flags, program
from hpunet_jax import files
from hpunet_jax.buckets import place
from hpunet_jax.checkpoints import write_model
from hpunet_jax.config import without_places
from hpunet_jax.inference.portable import FORMATS, export_model, write_portable

flags.adopt_module_key_flags(checkpoint_flags)
_WORKDIR = flags.DEFINE_string("workdir", None, "Work directory of a training run.")
_OUT = flags.DEFINE_string("out", None, "The file to write: .npz, or .zip of other formats.")
_FORMAT = flags.DEFINE_enum("format", "npz", ("npz", *FORMATS), "What to write.")
_SIZE = flags.DEFINE_list(
    "size", None, "Of stablehlo and onnx: height,width of the images. Default: as in training."
)
_DTYPE = flags.DEFINE_enum(
    "dtype",
    "float32",
    ("float32", "float16"),
    "Of npz: the weights' type; float16 halves the file.",
)
flags.mark_flags_as_required(["workdir", "out"])


def main(_) -> None:
    out = place(_OUT.value, "--out")
    suffix = ".npz" if _FORMAT.value == "npz" else ".zip"
    if out.suffix != suffix:
        raise ValueError(f"--out={out} must end in {suffix} with --format={_FORMAT.value}.")
    if files.exists(out):
        raise ValueError(f"--out={out} is there already; name another file or remove it.")
    size = program.parse_size("size", _SIZE.value)
    if size is not None and _FORMAT.value == "npz":
        raise ValueError("--size belongs to --format=stablehlo or onnx; .npz takes any size.")
    if _DTYPE.value != "float32" and _FORMAT.value != "npz":
        raise ValueError("--dtype belongs to --format=npz; stablehlo and onnx are float32.")
    model = checkpoint_flags.load(_WORKDIR.value)
    model.config = without_places(model.config)
    if _FORMAT.value == "npz":
        calibration = model.calibration.to_arrays() if model.calibration else None
        write_model(out, model.params, model.config, _DTYPE.value, calibration)
    else:
        size = size or tuple(model.config.data.crop)
        write_portable(out, export_model(model, size, _FORMAT.value))
    print(f"model: {out}, {files.size(out) / 1e6:.1f} MB")


if __name__ == "__main__":
    program.run(main)
