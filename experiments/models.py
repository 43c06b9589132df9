"""Lists the models that ship with the package.

    hpunet models
    hpunet models --name=lidc_phantom

Prints each one's name, size and what it does; with --name its card: data, command, scores, limits.
Programs take them as --workdir or --checkpoint: `hpunet sample --workdir=pretrained/lidc_phantom`.
"""

import difflib

from absl import flags

from experiments import program
from hpunet_jax.inference.shipped import shipped_models

_NAME = flags.DEFINE_string("name", None, "The model whose card is printed.")


def main(_) -> None:
    models = shipped_models()
    if _NAME.value is None:
        width = max(map(len, models))
        for model in models.values():
            size = f"{model.file.stat().st_size / 1e6:.1f} MB"
            print(f"pretrained/{model.name.ljust(width)}  {size}  {model.title}")
        return
    name = _NAME.value.removeprefix("pretrained/")
    if name not in models:
        near = difflib.get_close_matches(name, models, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"--name={name}: no such model ships.{hint} Known: {', '.join(models)}.")
    print(models[name].card, end="")


if __name__ == "__main__":
    program.run(main)
