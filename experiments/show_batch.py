"""Draws what the network is fed: training images, their labels, and what is not in the loss.

    hpunet show_batch --config=demo --out=batch.png

Takes the first examples of training and draws each several times: another grader or other instance
labels, and another deformation each time.
"""

from absl import flags
from ml_collections import config_flags

from experiments import program
from hpunet_jax.io import check_apart

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Name of a shipped config, or a config file."
)
_OUT = flags.DEFINE_string("out", "batch.png", "The picture to write.")
_SPLIT = flags.DEFINE_string("split", "train", "The split to take examples from.")
_EXAMPLES = flags.DEFINE_integer("examples", 4, "Number of examples.", lower_bound=1)
flags.mark_flag_as_required("config")


def main(_) -> None:
    import jax
    import numpy as np

    from hpunet_jax.data import pipeline
    from hpunet_jax.figures import batch_figure, save_figure
    from hpunet_jax.training.setup import build_draw_batch

    config = _CONFIG.value
    check_apart(_OUT.value, config.data.dir)
    builder = pipeline.open_data_set(config)
    seed = config.training.seed
    batches = pipeline.train_batches(
        builder,
        split=_SPLIT.value,
        batch_size=_EXAMPLES.value,
        seed=seed,
        windows=pipeline.Windows.from_config(config),
    )
    examples = next(batches)
    draw_batch = jax.jit(build_draw_batch(config))
    keys = jax.random.split(jax.random.key(seed), 3)
    draws = [jax.tree.map(np.asarray, draw_batch(key, examples)) for key in keys]
    images, labels, masks = (np.stack(arrays) for arrays in zip(*draws, strict=True))
    num_ids = config.data.get("num_ids", None)
    save_figure(batch_figure(examples, images, labels, masks, num_ids), _OUT.value)
    print(f"picture: {_OUT.value}")


if __name__ == "__main__":
    program.run(main)
