"""The flags by which programs choose the data of a model: --data_dir and --config.data.name."""

from absl import flags

import hpunet_jax
from hpunet_jax.config import check_config

DATA_DIR = flags.DEFINE_string("data_dir", None, "Default: the config's data.dir.")
DATA_NAME = flags.DEFINE_string(
    "config.data.name", None, "Another data set than the one the model was trained on."
)


def choose_data(model: hpunet_jax.Model) -> str | None:
    """Sets the data set in a model's config.

    Args:
      model: the model, whose config is replaced by one that names the data set of the flag.

    Returns:
      Its name; None if the flag is not given, or names the config's own.

    Raises:
      ValueError: if the flag's value is no name.
    """
    name = DATA_NAME.value
    if name is None or name == model.config.data.name:
        return None
    config = model.config.copy_and_resolve_references()
    with config.unlocked():
        config.data.name = name
    check_config(config, sections=("data", "model"))
    model.config = config
    return name
