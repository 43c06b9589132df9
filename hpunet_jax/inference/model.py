"""A trained network ready to use: samples and reconstructions of images."""

import functools
import hashlib
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from hpunet_jax.checkpoints import (
    Checkpoints,
    check_params,
    params_from_tf1,
    read_model,
    read_tf1,
)
from hpunet_jax.networks import Network, build_network, check_image_shape, check_unit_interval
from hpunet_jax.tasks import extrapolation
from hpunet_jax.tasks.intensity import unit_interval

_PACKAGE = pathlib.Path(__file__).parents[1]


class Model:
    """A network with its parameters. Pure: nothing of it changes by being used.

    Attributes:
      params: the network's parameters.
      network: the network's functions.
      config: the config that made it.
    """

    def __init__(self, network: Network, params: Any, config: ml_collections.ConfigDict):
        self.network = network
        self.params = params
        self.config = config

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return self.network.num_classes

    @property
    def num_latent_scales(self) -> int:
        """Number of latent scales L."""
        return self.network.num_latent_scales

    def digest(self) -> str:
        """A name for the weights, of 16 hexadecimal digits: equal weights have the same."""
        hashed = hashlib.sha256()
        for leaf in jax.tree.leaves(self.params):
            hashed.update(np.asarray(leaf).tobytes())
        return hashed.hexdigest()[:16]

    def sample(
        self,
        images: np.ndarray,
        num_samples: int = 16,
        seed: int = 0,
        scales: Sequence[int] | None = None,
        probabilities: bool = False,
        visible_labels: np.ndarray | None = None,
    ) -> np.ndarray:
        """Draws segmentation hypotheses Y' = S(X, z), z ~ P(.|X) (Section 2, "Sampling").

        The encoder runs once for each image. Sample i of image j is the same however many
        samples or further images are asked for.

        Args:
          images: uint8 or uint16 [B, H, W, channels], or floating point in [0, 1]. Height and
            width may be any multiples of `network.size_multiple`.
          num_samples: number of samples N.
          seed: seed of the latents.
          scales: the latent scales to sample, 0 the coarsest; the others stay at their prior
            means. None samples all, [] none.
          probabilities: whether to return class probabilities instead of labels.
          visible_labels: integers [B, H, W], only for a model trained to extrapolate (Section 3.3,
            Fig. 5), which needs them: the class of each visible pixel, -1 (or 255) where hidden.
            Of hidden pixels, the image is not looked at either.

        Returns:
          uint8 labels [N, B, H, W] (int32 for more than 256 classes), or float32 probabilities
          [N, B, H, W, C].

        Raises:
          ValueError: for images of the wrong shape or scale, scales that do not exist, or visible
            labels that are missing, not wanted, or do not fit.
        """
        images = self._inputs(images, visible_labels)
        mean = self._mean_flags(scales)
        if num_samples < 1:
            raise ValueError(f"num_samples must be at least 1, not {num_samples}.")
        return np.asarray(
            _sample(self.network, self.params, images, seed, num_samples, mean, probabilities)
        )

    def reconstruct(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        probabilities: bool = False,
        visible_labels: np.ndarray | None = None,
    ) -> np.ndarray:
        """Reconstructs given segmentations through the posterior means (Appendix B.2).

        Args:
          images: as in `sample`.
          labels: integers [B, H, W], the segmentations to reconstruct.
          probabilities: whether to return class probabilities instead of labels.
          visible_labels: as in `sample`.

        Returns:
          uint8 labels [B, H, W] (int32 for more than 256 classes), or float32 probabilities
          [B, H, W, C].

        Raises:
          ValueError: for images or labels of the wrong shape, labels outside the classes, or
            visible labels that are missing, not wanted, or do not fit.
        """
        images = self._inputs(images, visible_labels)
        labels = np.asarray(labels)
        if labels.shape != images.shape[:3]:
            raise ValueError(
                f"labels have shape {labels.shape}, but images of shape {images.shape} need "
                f"labels of shape {images.shape[:3]}."
            )
        if labels.size and not 0 <= labels.min() <= labels.max() < self.num_classes:
            raise ValueError(
                f"labels lie in [{labels.min()}, {labels.max()}], but the model knows the "
                f"classes 0 to {self.num_classes - 1}."
            )
        return np.asarray(
            _reconstruct(self.network, self.params, images, labels.astype(np.int32), probabilities)
        )

    @property
    def extrapolates(self) -> bool:
        """Whether the model was trained to fill in hidden parts, and needs visible labels."""
        return self.config.get("data", {}).get("extrapolation", None) is not None

    def _inputs(self, images: np.ndarray, visible_labels: np.ndarray | None) -> np.ndarray:
        """What the network sees of images, and of the visible segmentation if there is one."""
        images = as_unit_images(images)
        if not self.extrapolates:
            if visible_labels is not None:
                raise ValueError(
                    "visible_labels are given, but this model was not trained to extrapolate (its "
                    "config has no data.extrapolation): leave them out, or train a model with "
                    "configs/demo_extrapolation.py."
                )
            check_image_shape(self.network, images.shape, "the image")
            return images
        if visible_labels is None:
            raise ValueError(
                "this model was trained to extrapolate (data.extrapolation): give the visible "
                "segmentation as visible_labels, integers [B, H, W] that are -1 where hidden."
            )
        labels = check_visible_labels(visible_labels, images.shape, self.num_classes)
        inputs = np.asarray(extrapolation.visible_input(images, labels, self.num_classes))
        check_image_shape(self.network, inputs.shape, "the image with the visible segmentation")
        return inputs

    def _mean_flags(self, scales: Sequence[int] | None) -> tuple[bool, ...]:
        available = range(self.num_latent_scales)
        if scales and not available:
            raise ValueError("this model has no latent scales to sample: leave scales at None.")
        if scales is None:
            return (False,) * len(available)
        if wrong := [scale for scale in scales if scale not in available]:
            raise ValueError(
                f"there is no latent scale {wrong[0]}: this model has the scales 0 (coarsest) to "
                f"{len(available) - 1}."
            )
        return tuple(scale not in scales for scale in available)


def load(directory: str | os.PathLike[str], step: int | None = None) -> Model:
    """Loads a model that `experiments.train` or `experiments.export` wrote.

    Args:
      directory: the work directory of a training run; or a model file, ending in ".npz"; or
        "pretrained/lidc_phantom", the small model that comes with this package. It was trained on
        real outlines on SIMULATED CT, for trying the software out.
      step: which checkpoint of a work directory; default: the newest.

    Returns:
      The model; the directory's own config says how it is built.

    Raises:
      CheckpointError: if the directory or file holds no complete, readable model.
    """
    directory = pathlib.Path(directory).expanduser()
    pretrained = _PACKAGE / directory.with_suffix(".npz")
    if directory.parent.name == "pretrained" and not directory.exists() and pretrained.exists():
        directory = pretrained
    if directory.suffix == ".npz":
        return _load_file(directory)
    with Checkpoints(directory) as checkpoints:
        config = checkpoints.config(step)
        network = build_network(config.model)
        device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        like = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device),
            network.param_shapes(),
        )
        params = checkpoints.params(like, step)
    return Model(network, params, config)


def _load_file(path: pathlib.Path) -> Model:
    params, config = read_model(path)
    network = build_network(config.model)
    check_params(path, params, network.param_shapes())
    return Model(network, jax.device_put(params), config)


def load_tf1(prefix: str | os.PathLike[str]) -> Model:
    """Loads a checkpoint of the official TensorFlow 1 release.

    Args:
      prefix: the checkpoint's path without ".index", for instance "tf_graph_data.ckpt".

    Returns:
      The same kind of model as `load` gives. Its config has only a `model` section, inferred from
      the variables; `experiments.import_tf1` makes a complete checkpoint directory.

    Raises:
      CheckpointError: if the variables are not those of an HPU-Net; it names them.
      FileNotFoundError, ValueError: if the files are missing or damaged.
    """
    checkpoint = read_tf1(prefix)
    network = build_network(checkpoint.model)
    params = params_from_tf1(checkpoint.variables, network.param_shapes())
    config = ml_collections.ConfigDict({"model": dict(checkpoint.model)}).lock()
    return Model(network, jax.device_put(params), config)


def as_unit_images(images: np.ndarray) -> np.ndarray:
    """Images as float32 in [0, 1]: integers divided by their type's greatest value.

    Args:
      images: [B, H, W, channels], uint8, uint16 or floating point.

    Returns:
      float32 of the same shape.

    Raises:
      ValueError: for another number of axes, another type, or floats outside [0, 1].
    """
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(f"images must have shape [B, H, W, channels], not {images.shape}.")
    check_unit_interval(images)
    return unit_interval(images, images.dtype)


def check_visible_labels(
    labels: np.ndarray, images_shape: Sequence[int], num_classes: int
) -> np.ndarray:
    """The visible segmentation of an extrapolating model, as int32 that are -1 where hidden.

    Args:
      labels: integers [B, H, W]; -1 and, of fewer than 256 classes, 255 stand for hidden pixels.
      images_shape: shape of the images.
      num_classes: number of classes C.

    Returns:
      int32 [B, H, W].

    Raises:
      ValueError: for another shape or type, or labels outside the classes.
    """
    labels = np.asarray(labels)
    if labels.shape != tuple(images_shape[:3]) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"visible_labels must be integers of shape {tuple(images_shape[:3])}, not "
            f"{labels.dtype} of shape {labels.shape}."
        )
    labels = labels.astype(np.int32)
    if num_classes <= 255:
        labels = np.where(labels == 255, extrapolation.HIDDEN, labels)
    if labels.size and not -1 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(
            f"visible_labels lie in [{labels.min()}, {labels.max()}], but the model knows the "
            f"classes 0 to {num_classes - 1}, and -1 (or 255) for hidden pixels."
        )
    return labels


def sample_keys(seed: jax.Array, index: jax.Array, image_ids: jax.Array) -> jax.Array:
    """The keys [B] of sample `index` of each image, from the seed of `Model.sample`."""
    key = jax.random.fold_in(jax.random.key(seed), index)
    return jax.vmap(lambda image: jax.random.fold_in(key, image))(image_ids)


def most_probable(logits: jax.Array) -> jax.Array:
    """Labels [...] of logits [..., C]: uint8, or int32 for more than 256 classes."""
    dtype = jnp.uint8 if logits.shape[-1] <= 256 else jnp.int32
    return jnp.argmax(logits, axis=-1).astype(dtype)


def _output(logits: jax.Array, probabilities: bool) -> jax.Array:
    return jax.nn.softmax(logits) if probabilities else most_probable(logits)


@functools.partial(jax.jit, static_argnums=(0, 4, 5, 6))
def _sample(network, params, images, seed, num_samples, mean, probabilities):
    features = network.encode(params, images)

    def one(index):
        keys = sample_keys(seed, index, jnp.arange(len(images)))
        return _output(network.sample(params, features, keys, mean).logits, probabilities)

    # One sample after the other: as fast as all at once, in a sixteenth of the memory.
    return jax.lax.map(one, jnp.arange(num_samples))


@functools.partial(jax.jit, static_argnums=(0, 4))
def _reconstruct(network, params, images, labels, probabilities):
    return _output(network.reconstruct(params, images, labels), probabilities)
