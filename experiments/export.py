"""Writes a trained network as one small file, for sampling elsewhere.

    python -m experiments.export --workdir=runs/demo --out=my_model.npz

It holds the newest checkpoint's parameters and config, and is read by `hpunet_jax.load` (or any
program's --workdir) like the work directory itself; training cannot go on from it. The models in
hpunet_jax/pretrained were written so; `hpunet_jax.load("pretrained/<name>")` finds them.
"""

import pathlib

from absl import flags

import hpunet_jax
from experiments import program
from hpunet_jax.checkpoints import write_model

_WORKDIR = flags.DEFINE_string("workdir", None, "Work directory of a training run.")
_STEP = flags.DEFINE_integer("step", None, "Which checkpoint; default: the newest.")
_OUT = flags.DEFINE_string("out", None, "The file to write, ending in .npz.")
flags.mark_flags_as_required(["workdir", "out"])


def main(_) -> None:
    out = pathlib.Path(_OUT.value)
    if out.suffix != ".npz":
        raise ValueError(f"--out={out} must end in .npz.")
    model = hpunet_jax.load(_WORKDIR.value, _STEP.value)
    write_model(out, model.params, model.config)
    print(f"model: {out}, {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    program.run(main)
