"""Draws examples of a data set of several graders, as they are stored.

    python -m experiments.show_data --name=lidc_phantom --out=lidc_phantom.png

`experiments.show_batch` shows what a network is fed: cropped, augmented, with targets drawn.
"""

import numpy as np
from absl import flags

from experiments import program

_NAME = flags.DEFINE_string("name", None, "The data set, e.g. lidc_phantom.")
_DATA_DIR = flags.DEFINE_string("data_dir", "datasets", "Where data sets are built.")
_OUT = flags.DEFINE_string("out", None, "The picture to write.")
_SPLIT = flags.DEFINE_string("split", "test", "The split to show.")
_COUNT = flags.DEFINE_integer("count", 8, "Examples, spread over the split.", lower_bound=1)
flags.mark_flags_as_required(["name", "out"])


def main(_) -> None:
    from hpunet_jax.data import catalogue, pipeline
    from hpunet_jax.figures import gradings_figure, save_figure

    builder = catalogue.load_builder(_NAME.value, _DATA_DIR.value)
    if "masks" not in builder.info.features:
        raise ValueError(
            f"{_NAME.value} has no `masks` of graders; experiments.show_batch shows it."
        )
    size = pipeline.num_examples(builder, _SPLIT.value)
    numbers = [size * (2 * i + 1) // (2 * _COUNT.value) for i in range(min(_COUNT.value, size))]
    examples = [
        next(pipeline.eval_batches(builder, split=f"{_SPLIT.value}[{n}:{n + 1}]", batch_size=1))
        for n in numbers
    ]
    image, masks = (np.concatenate([e[name] for e in examples]) for name in ("image", "masks"))
    save_figure(gradings_figure(image, masks), _OUT.value)
    print(f"picture: {_OUT.value}")


if __name__ == "__main__":
    program.run(main)
