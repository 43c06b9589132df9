"""From a config to what trains: mesh, network, objective, optimizer and the step (Appendix D)."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import ml_collections
import optax
from jax.sharding import Mesh

from hpunet_jax.augmentation import (
    Augmentation,
    Batch,
    Extrapolation,
    hide_batch,
    training_batch,
)
from hpunet_jax.config import check_config, value_of
from hpunet_jax.networks import Network, build_network, check_image_shape
from hpunet_jax.objectives import Objective, build_objective
from hpunet_jax.training import mesh as meshes
from hpunet_jax.training.freezing import frozen_modules
from hpunet_jax.training.loss import Metrics
from hpunet_jax.training.optimizer import build_optimizer
from hpunet_jax.training.state import TrainState, init_state, state_layout, state_shapes
from hpunet_jax.training.step import Examples, build_train_step


class Setup(NamedTuple):
    """What a config describes, on given devices.

    Attributes:
      mesh: the device mesh.
      network: the network.
      objective: the objective.
      optimizer: the optimizer.
      layout: how the training state lies on the devices: the sharding of each array.
      step: the jitted training step, (state, examples) -> (next state, metrics).
    """

    mesh: Mesh
    network: Network
    objective: Objective
    optimizer: optax.GradientTransformation
    layout: TrainState
    step: Callable[[TrainState, Examples], tuple[TrainState, Metrics]]

    def init_state(self, key: jax.Array) -> TrainState:
        """The state before the first step, with weights drawn from `key`, on the devices."""
        state = init_state(key, self.network, self.objective, self.optimizer, self._ema)
        return jax.device_put(state, self.layout)

    def state_shapes(self) -> TrainState:
        """Shape, dtype and sharding of each array of the state."""

        def lying(x, sharding):
            return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

        shapes = state_shapes(self.network, self.objective, self.optimizer, self._ema)
        return jax.tree.map(lying, shapes, self.layout)

    @property
    def _ema(self) -> bool:
        return self.layout.ema is not None


def set_up(config: ml_collections.ConfigDict, devices: Sequence[jax.Device] | None = None) -> Setup:
    """Builds and checks what a config describes.

    Args:
      config: the experiment's config.
      devices: the devices to train on; None: all there are. They need not exist.

    Returns:
      The `Setup`. Nothing is compiled yet.

    Raises:
      ValueError: for a config that does not fit itself or the devices.
    """
    check_config(config)
    mesh = meshes.build_mesh(config.mesh.data, config.mesh.space, devices)
    parts, ema = value_of(config, "training.accumulate"), value_of(config, "training.ema_decay") > 0
    meshes.check_batch(mesh, config.training.batch_size, parts)
    by_level = meshes.ByLevel(mesh, config.mesh.min_rows)
    network = build_network(config.model, by_level, mesh.devices.flat[0].platform)
    crop = config.data.crop
    check_image_shape(network, (*crop, config.model.image_channels), "data.crop")
    meshes.check_rows(mesh, crop[0], network.size_multiple, config.mesh.min_rows)
    objective = build_objective(config.objective)
    optimizer = build_optimizer(config.optimizer, config.training.steps)
    shapes = state_shapes(network, objective, optimizer, ema)
    layout = state_layout(shapes, mesh, config.mesh.shard_optimizer)
    draw_batch = build_draw_batch(config)
    frozen = frozen_modules(value_of(config, "training.freeze"), shapes.params.network)
    step = build_train_step(config, network, objective, optimizer, draw_batch, mesh, layout, frozen)
    return Setup(mesh, network, objective, optimizer, layout, step)


def build_draw_batch(
    config: ml_collections.ConfigDict, *, augment: bool = True
) -> Callable[[jax.Array, Examples], Batch]:
    """The function (key, examples) -> `Batch` that the `data` section of a config describes.

    Without `augment` it takes the centre crop as it is.
    """
    ranges = config.data.augmentation if augment else ml_collections.ConfigDict()
    augmentation = Augmentation.from_config(ranges, crop=config.data.crop)
    extrapolation = Extrapolation.from_config(config.data.get("extrapolation", None))
    model = config.model

    def draw_batch(key, examples):
        batch = training_batch(
            key,
            examples,
            augmentation,
            config.data.get("num_ids", None),
            num_classes=model.num_classes,
        )
        if extrapolation is None:
            return batch
        return hide_batch(
            jax.random.fold_in(key, 1),
            batch,
            extrapolation,
            num_classes=model.num_classes,
            model_channels=model.image_channels,
        )

    return draw_batch
