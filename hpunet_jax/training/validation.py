"""Validation in the course of training: terms of the objective, scores and pictures.

It looks at the same images with the same noise each time, so that its curves differ by the weights
alone. The objective's terms are those of the posterior's means and of the highest losses, without
augmentation; the scores are those of the evaluation (Appendix B), of fewer images.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from matplotlib.figure import Figure

from hpunet_jax.config import value_of
from hpunet_jax.evaluation.protocols import evaluate
from hpunet_jax.figures.catalogue import spread_over
from hpunet_jax.figures.model import EXTRAPOLATION, INSTANCES, SAMPLES, model_figures
from hpunet_jax.inference.model import Model
from hpunet_jax.labels import IGNORED
from hpunet_jax.networks import build_network
from hpunet_jax.objectives import Objective
from hpunet_jax.tasks.crop import centre_crop
from hpunet_jax.training.loss import batch_loss
from hpunet_jax.training.setup import build_draw_batch
from hpunet_jax.training.state import Trainable, TrainState

_PICTURES = 4  # cases that are drawn
_SHOWN_SAMPLES = 8  # of each

Examples = Mapping[str, np.ndarray]


class Validated(NamedTuple):
    """What a validation found.

    Attributes:
      scores: by name; those of the averaged weights begin with "ema_".
      pictures: file names -> figures.
    """

    scores: Mapping[str, float]
    pictures: Mapping[str, Figure]


class Validation:
    """Validates training states, each process on its first device."""

    def __init__(
        self, config: ml_collections.ConfigDict, objective: Objective, batches: Iterable[Examples]
    ):
        """Args:
          config: the whole config.
          objective: the objective.
          batches: the examples of a split; of these, the first `training.validation_images`.

        Raises:
          ValueError: if there are none.
        """
        self._config = config
        self._ema = value_of(config, "training.ema_decay") > 0
        platform = jax.local_devices()[0].platform
        self._network = build_network(config.model, platform=platform)
        self._batches = list(_first(batches, value_of(config, "training.validation_images")))
        if not self._batches:
            split = value_of(config, "training.validation_split")
            raise ValueError(
                f"there are no images to validate on: the split {split!r} is empty. Set "
                "training.validation_split to another, or training.validate_every=0."
            )
        self._crops = [_cropped(batch, config.data.crop) for batch in self._batches]
        self._terms = _build_terms(config, self._network, objective)

    def __call__(self, state: TrainState, with_pictures: bool = True) -> Validated:
        """The scores of a state, and pictures of a few cases."""
        params: Trainable = jax.tree.map(_local, state.params)
        scores = self._scores(params)
        if self._ema:
            averaged = params._replace(network=jax.tree.map(_local, state.ema))
            scores |= {f"ema_{name}": value for name, value in self._scores(averaged).items()}
        return Validated(scores, self._draw(params) if with_pictures else {})

    def _scores(self, params: Trainable) -> dict[str, float]:
        sums: dict[str, float] = {}
        images = 0
        for number, examples in enumerate(self._crops):
            size = len(examples["image"])
            for name, value in jax.device_get(self._terms(params, number, examples)).items():
                sums[name] = sums.get(name, 0.0) + size * float(value)
            images += size
        terms = {name: value / images for name, value in sums.items()}
        if self._config.data.get("extrapolation", None) is not None:
            return terms  # no score is known
        model: Any = self._model(params)
        scores = evaluate(model, self._config, self._batches, None, progress=False)
        row = scores.summary(num_bootstraps=1)["model"]
        found = {name: value["mean"] for name, value in row.items()}
        return terms | {n: np.nan if value is None else value for n, value in found.items()}

    def _draw(self, params: Trainable) -> dict[str, Figure]:
        names = self._crops[0]
        crops = {name: np.concatenate([crop[name] for crop in self._crops]) for name in names}
        numbers = spread_over(len(crops["image"]), _PICTURES)
        examples = {name: array[numbers] for name, array in crops.items()}
        samples = min(_SHOWN_SAMPLES, self._config.evaluation.num_samples)
        only = (SAMPLES, INSTANCES, EXTRAPOLATION)
        return model_figures(self._model(params), examples, samples, only=only)

    def _model(self, params: Trainable) -> Model:
        return Model(self._network, params.network, self._config)


def _build_terms(config, network, objective: Objective) -> Callable[..., Mapping[str, jax.Array]]:
    """The jitted function (params, number of the batch, examples) -> terms of the objective."""
    draw_batch = build_draw_batch(config, augment=False)
    _, no_average_yet = objective.init()

    @jax.jit
    def terms(params, number, examples):
        key = jax.random.fold_in(jax.random.key(config.training.seed), number)
        _, (_, found) = batch_loss(
            params,
            no_average_yet,
            draw_batch(key, examples),
            key,
            network=network,
            objective=objective,
            top_k=config.objective.top_k,
            weight_decay=config.optimizer.weight_decay,
            stochastic=False,
        )
        kept = {n: found[n] for n in found if n == "loss" or n.startswith(("reconstruction", "kl"))}
        return jax.tree.map(jnp.float32, kept)

    return terms


def _first(batches: Iterable[Examples], images: int) -> Iterator[dict[str, np.ndarray]]:
    """The batches of so many images; the last may be cut."""
    for batch in batches:
        kept = {name: array[:images] for name, array in batch.items()}
        yield kept
        images -= len(kept["image"])
        if images <= 0:
            return


def _cropped(examples: Examples, crop: Sequence[int]) -> dict[str, np.ndarray]:
    """The centre crops of the maps; smaller images are mirrored, masks ignored beyond them."""
    size = examples["image"].shape[1:3]
    beyond = [max(wanted - found, 0) for wanted, found in zip(crop, size, strict=True)]
    padding = [(0, 0), *((n // 2, n - n // 2) for n in beyond)]
    cropped: dict[str, Any] = {}
    for name, maps in examples.items():
        if maps.shape[1:3] != size:
            continue
        pad = [*padding, *[(0, 0)] * (maps.ndim - 3)]
        if name == "masks":
            maps = np.pad(maps, pad, constant_values=IGNORED)
        elif any(beyond):
            maps = np.pad(maps, pad, mode="symmetric")
        cropped[name] = centre_crop(maps, crop)
    return cropped


def _local(array: Any) -> jax.Array:
    """A replicated array as this process's first device has it."""
    return array.addressable_data(0)
