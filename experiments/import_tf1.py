"""Turns a checkpoint of the official TensorFlow 1 release into a checkpoint directory of ours.

    hpunet import_tf1 --checkpoint=tf_graph_data.ckpt --workdir=runs/official

The model is inferred from the variables' shapes; the rest of the config (data, training,
evaluation) comes from --config, so that the directory can be sampled, evaluated, or trained on.
"""

import sys

import jax.numpy as jnp
import ml_collections
from absl import flags
from ml_collections import config_flags

from experiments import program
from hpunet_jax.checkpoints import Checkpoints, params_from_tf1, read_tf1
from hpunet_jax.config import check_config
from hpunet_jax.folders import check_local
from hpunet_jax.networks import build_network
from hpunet_jax.objectives import GecoParams, build_objective
from hpunet_jax.training import Trainable, TrainState, save
from hpunet_jax.training.optimizer import build_optimizer

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Its path without '.index'.")
_WORKDIR = flags.DEFINE_string("workdir", None, "The directory to make.")
_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Everything but the model; default: lidc_hpunet."
)
flags.mark_flags_as_required(["checkpoint", "workdir"])


def main(_) -> None:
    workdir = program.folder(_WORKDIR.value, "--workdir")
    checkpoint = read_tf1(check_local(_CHECKPOINT.value, "--checkpoint"))
    config = _CONFIG.value.copy_and_resolve_references().unlock()
    config.model = ml_collections.ConfigDict(checkpoint.model)
    check_config(config.lock())

    network_params = params_from_tf1(
        checkpoint.variables, build_network(config.model).param_shapes()
    )
    _, objective_state = build_objective(config.objective).init()
    params = Trainable(network_params, GecoParams(jnp.asarray(checkpoint.raw_multiplier)))
    optimizer = build_optimizer(config.optimizer, config.training.steps)
    state = TrainState(jnp.int32(0), params, optimizer.init(params), objective_state)
    with Checkpoints(workdir) as checkpoints:
        if checkpoints.steps():
            raise ValueError(f"{workdir} holds checkpoints already; give another --workdir.")
        save(checkpoints, 0, state, config)
    section = config.model
    print(
        f"{workdir}: {section.num_scales} scales of {section.blocks_per_scale} blocks, "
        f"channels {section.channels}, latents {section.latent_dims}, "
        f"{section.num_classes} classes"
    )


if __name__ == "__main__":
    program.run(main, program.with_default_config(sys.argv, "lidc_hpunet"))
