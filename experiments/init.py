"""Looks at own data and writes a config for it, with a reason for each choice.

    hpunet check_data --dir=mydata
    hpunet init --dir=mydata
    hpunet train --config=mydata.py --workdir=runs/mydata
    hpunet evaluate --workdir=runs/mydata

Reads every image and mask (docs/own_data.md describes the layout), builds the data set as training
does, and writes mydata.py, or what --out says: own_data.py with what differs. A file that is there
is never overwritten. What is chosen depends on where it runs: on a CPU a small network, trained for
about ten minutes on two cores; on a GPU or TPU the paper's.
"""

import pathlib
import re
import shlex
import textwrap

from absl import flags

from configs import own_data as base
from experiments import program
from hpunet_jax.config import check_config

_DIR = flags.DEFINE_string("dir", None, "Folder with train, val and test.")
_OUT = flags.DEFINE_string("out", None, "Config to write; default: the folder's name, here.")
flags.mark_flag_as_required("dir")

_LOOKED_AT = 64  # training images whose pixels are looked at

_CONFIG = '''"""The HPU-Net on own data: own_data with what differs, as `hpunet init` chose it.

    hpunet train --config={name} --workdir=runs/{stem}
    hpunet evaluate --workdir=runs/{stem}
    hpunet sample --workdir=runs/{stem}
"""

import ml_collections

from configs import own_data


def get_config() -> ml_collections.ConfigDict:
    """The config; locked, so that a misspelt field is an error."""
    config = own_data.get_config().unlock()
{fields}
    return config.lock()
'''


def main(_) -> None:
    folder = pathlib.Path(_DIR.value)
    out = pathlib.Path(_OUT.value or f"{folder_name(folder)}.py")
    if out.suffix != ".py":
        raise ValueError(f"--out={out} is no config file: its name must end in .py.")
    check_new(out)
    choices = choose(folder)
    config = base.get_config().unlock()
    for choice in choices:
        config.update_from_flattened_dict({choice.field: choice.value})
    check_config(config)
    lines = [f"    config.{field} = {value!r}  # {reason}" for field, value, reason in choices]
    text = _CONFIG.format(folder=folder, name=out, stem=out.stem, fields="\n".join(map(cut, lines)))
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        check_new(out)
    width = max(len(f"{field} = {value!r}") for field, value, _ in choices)
    for field, value, reason in choices:
        print(f"{f'{field} = {value!r}'.ljust(width)}   {reason}")
    command = shlex.join(["hpunet", "train", f"--config={out}", f"--workdir=runs/{out.stem}"])
    print(f"\nconfig: {out}\nnext: {command}")


def choose(folder: pathlib.Path):
    """What the config of a folder is to say, with the reasons."""
    import jax

    from hpunet_jax.data import pipeline
    from hpunet_jax.data.own import builder as own_data
    from hpunet_jax.data.own.check import check
    from hpunet_jax.data.own.look import NO_WINDOW
    from hpunet_jax.data.own.suggest import Choice, Machine, choose_window, look_over, suggest
    from hpunet_jax.io import Preparation
    from hpunet_jax.memory import device_memory

    choices = [Choice("data.dir", str(folder), "the folder")]
    foreground, preparation = None, Preparation()
    report = check(folder)
    if NO_WINDOW in {problem.kind for problem in report.problems}:
        window = choose_window(report.values)
        choices.append(window)
        preparation = Preparation(**{window.field.rpartition(".")[2]: window.value})
        report = check(folder, preparation=preparation)
    if {problem.kind for problem in report.problems} == {"masks of 0 and 255"}:
        foreground = 255
        reason = "masks have nothing but 0 and 255: the object; set 1 if 255 means to ignore"
        choices.append(Choice("data.foreground", foreground, reason))
    builder = own_data.load(folder, foreground=foreground, preparation=preparation)
    images = {split: info.num_examples for split, info in builder.info.splits.items()}
    split = "train"
    if not images.get(split):
        raise ValueError(f"{folder} has no images in train, of which a config could be made.")
    examples = pipeline.eval_batches(builder, split=split, batch_size=1, limit=_LOOKED_AT)
    data = builder.builder_config
    facts = look_over(examples, images, data.num_classes, len(data.graders))
    machine = Machine(jax.default_backend(), device_memory())
    return choices + suggest(facts, machine)


def check_new(out: pathlib.Path) -> None:
    """Raises a `ValueError` if there is such a file, or no folder for it."""
    if out.exists():
        raise ValueError(f"{out} is there already, and is not overwritten: give another --out.")
    if not out.parent.is_dir():
        raise ValueError(f"--out={out}: there is no folder {out.parent}.")


def folder_name(folder: pathlib.Path) -> str:
    """A folder's name as that of a Python file."""
    name = re.sub(r"\W+", "_", folder.absolute().name).strip("_")
    return name if name and not name[0].isdigit() else f"data_{name}".rstrip("_")


def cut(line: str) -> str:
    """A line of code with its comment, which stands above it where they are too long together."""
    if len(line) <= 100:
        return line
    code, _, comment = line.partition("  # ")
    return "\n".join([*(f"    # {part}" for part in textwrap.wrap(comment, 92)), code])


if __name__ == "__main__":
    program.run(main)
