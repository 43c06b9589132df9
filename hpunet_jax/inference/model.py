"""A trained network ready to use: samples, reconstructions and latents of images (Section 2)."""

import hashlib
from collections.abc import Sequence
from typing import Any, no_type_check

import jax
import ml_collections
import numpy as np
from jaxtyping import Integer, Num

from hpunet_jax.arguments import check_flag, check_integer, check_seed, to_array
from hpunet_jax.inference import programs
from hpunet_jax.inference.bounds import Bounds, bounds_of, draw_weights
from hpunet_jax.inference.calibration import LIKE, Calibration, cut_tiles, describe, sentence
from hpunet_jax.inference.case import Case, check_spacing
from hpunet_jax.inference.inputs import (
    Inputs,
    Latents,
    as_unit_images,
    check_apart,
    check_batch_size,
    check_image_ids,
    check_inputs,
    check_labels,
    check_latents,
    mean_flags,
)
from hpunet_jax.networks import Gaussian, Network

Images = Num[np.ndarray, "B H W c"] | Num[np.ndarray, "H W c"]
Labels = Integer[np.ndarray, "B H W"] | Integer[np.ndarray, "H W"]


class Model:
    """A network with its parameters. Pure: nothing of it changes by being used.

    Everywhere a single image [H, W, channels] may stand in the place of several. Then labels,
    latents and results have no axis of images (B) either.

    Attributes:
      params: the network's parameters.
      network: the network's functions.
      config: the config that made it.
      calibration: which images are usual for it; None where that is not known.
    """

    def __init__(
        self,
        network: Network,
        params: Any,
        config: ml_collections.ConfigDict,
        calibration: Calibration | None = None,
    ):
        self.network = network
        self.params = params
        self.config = config
        self.calibration = calibration

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return self.network.num_classes

    @property
    def num_latent_scales(self) -> int:
        """Number of latent scales L."""
        return self.network.num_latent_scales

    @property
    def extrapolates(self) -> bool:
        """Whether the model was trained to fill in hidden parts, and needs visible labels."""
        return self.config.get("data", {}).get("extrapolation", None) is not None

    def digest(self) -> str:
        """A name for the weights, of 16 hexadecimal digits: equal weights have the same."""
        hashed = hashlib.sha256()
        for leaf in jax.tree.leaves(self.params):
            hashed.update(np.asarray(leaf).tobytes())
        return hashed.hexdigest()[:16]

    # The methods below check their arguments themselves, see hpunet_jax/arguments.py.

    @no_type_check
    def sample(
        self,
        images: Images,
        num_samples: int = 16,
        seed: int = 0,
        scales: Sequence[int] | None = None,
        probabilities: bool = False,
        visible_labels: Labels | None = None,
        *,
        latents: Latents | None = None,
        return_latents: bool = False,
        batch_size: int | None = None,
        image_ids: Sequence[int] | None = None,
    ) -> np.ndarray | tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """Draws segmentation hypotheses Y' = S(X, z), z ~ P(.|X) (Section 2, "Sampling").

        The encoder runs once for each image. Sample i of image j is the same however many samples
        or further images are asked for, and however these are cut into batches.

        Args:
          images: uint8 or uint16 [B, H, W, channels], or floating point in [0, 1]; or a single
            image [H, W, channels]. Height and width may be any multiples of
            `network.size_multiple`.
          num_samples: number of samples N.
          seed: seed of the latents, from 0 to 2^31 - 1.
          scales: the latent scales to sample, 0 the coarsest; the others stay at their prior
            means. None samples all, [] none.
          probabilities: whether to return class probabilities instead of labels.
          visible_labels: integers [B, H, W], only for a model trained to extrapolate (Section 3.3,
            Fig. 5), which needs them: the class of each visible pixel, -1 (or 255) where hidden.
            Of hidden pixels, the image is not looked at either.
          latents: latents to use in the place of drawn ones: a list of one entry for each scale,
            coarse to fine; each is None (to be drawn), floating point numbers [B, h, w, d] for all
            samples, or [N, B, h, w, d]. Finer scales follow the prior given these.
          return_latents: whether to return the latents of the samples, too.
          batch_size: how many images to handle at once; None: all of them.
          image_ids: an integer for each image, from 0 to 2^31 - 1: together with the seed and the
            sample's number, it determines the image's noise. None: its place, 0 to B - 1.

        Returns:
          uint8 labels [N, B, H, W] (int32 for more than 256 classes), or float32 probabilities
          [N, B, H, W, C]; with `return_latents` a pair of these and of the latents, float32
          [N, B, h, w, d] of each scale, which given as `latents` make the same samples.

        Raises:
          ValueError: for images of the wrong shape or scale, scales that do not exist, visible
            labels or latents that are missing, not wanted, or do not fit, and any other argument
            of the wrong type or range; it names the argument.
        """
        inputs = self._inputs(images, visible_labels)
        num_samples = check_integer("num_samples", num_samples, 1)
        seed = check_seed(seed)
        probabilities = check_flag("probabilities", probabilities)
        return_latents = check_flag("return_latents", return_latents)
        mean = mean_flags(scales, self.num_latent_scales)
        given = check_latents(latents, self._latent_shapes(inputs), inputs, num_samples)
        check_apart(scales, given)
        ids = check_image_ids(image_ids, inputs)

        def draw(images: np.ndarray, ids: np.ndarray, given: Any) -> Any:
            features = programs.encode(self.network, self.params, images)
            return programs.draw_samples(
                self.network,
                self.params,
                features,
                images.shape,
                seed=seed,
                num_samples=num_samples,
                image_ids=ids,
                latents=given,
                mean=mean,
                probabilities=probabilities,
            )

        size = check_batch_size(batch_size, len(inputs.images))
        drawn = programs.in_batches(draw, size, 1, inputs.images, ids, given)
        samples, used = inputs.results(drawn, axis=1)
        return (samples, used) if return_latents else samples

    @no_type_check
    def reconstruct(
        self,
        images: Images,
        labels: Labels,
        probabilities: bool = False,
        visible_labels: Labels | None = None,
        *,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Reconstructs given segmentations through the posterior means (Appendix B.2).

        Args:
          images: as in `sample`.
          labels: integers [B, H, W], the segmentations to reconstruct.
          probabilities: whether to return class probabilities instead of labels.
          visible_labels: as in `sample`.
          batch_size: as in `sample`.

        Returns:
          uint8 labels [B, H, W] (int32 for more than 256 classes), or float32 probabilities
          [B, H, W, C].

        Raises:
          ValueError: for images or labels of the wrong shape, labels outside the classes, or
            visible labels that are missing, not wanted, or do not fit.
        """
        inputs = self._inputs(images, visible_labels)
        labels = self._labels(labels, inputs)
        probabilities = check_flag("probabilities", probabilities)

        def rebuild(images: np.ndarray, labels: np.ndarray) -> Any:
            return programs.reconstruct(self.network, self.params, images, labels, probabilities)

        size = check_batch_size(batch_size, len(inputs.images))
        return inputs.results(programs.in_batches(rebuild, size, 0, inputs.images, labels))

    @no_type_check
    def prior(
        self,
        images: Images,
        latents: Latents | None = None,
        visible_labels: Labels | None = None,
        *,
        batch_size: int | None = None,
    ) -> tuple[Gaussian, ...]:
        """The priors p(z_i | z_<i, X) of each latent scale, coarse to fine (Eq. 1).

        Args:
          images: as in `sample`.
          latents: the z, floating point numbers [B, h, w, d] of each scale, or None where a scale
            is to be at its prior mean; None: all scales are.
          visible_labels: as in `sample`.
          batch_size: as in `sample`.

        Returns:
          The `Gaussian` of each scale: `mean` and `log_std`, float32 [B, h, w, d].

        Raises:
          ValueError: for images, latents or visible labels that do not fit.
        """
        inputs = self._inputs(images, visible_labels)
        given = check_latents(latents, self._latent_shapes(inputs), inputs)

        def gaussians(images: np.ndarray, given: Any) -> tuple[Gaussian, ...]:
            features = programs.encode(self.network, self.params, images)
            return programs.priors(self.network, self.params, features, images.shape, given)

        size = check_batch_size(batch_size, len(inputs.images))
        return inputs.results(programs.in_batches(gaussians, size, 0, inputs.images, given))

    @no_type_check
    def posterior(
        self,
        images: Images,
        labels: Labels,
        latents: Latents | None = None,
        visible_labels: Labels | None = None,
        *,
        batch_size: int | None = None,
    ) -> tuple[Gaussian, ...]:
        """The posteriors q(z_i | z_<i, X, Y) of each latent scale, coarse to fine (Eq. 3).

        Args:
          images: as in `sample`.
          labels: integers [B, H, W], the segmentations Y.
          latents: as in `prior`; scales that are not given are at their posterior means.
          visible_labels: as in `sample`.
          batch_size: as in `sample`.

        Returns:
          The `Gaussian` of each scale: `mean` and `log_std`, float32 [B, h, w, d].

        Raises:
          ValueError: for images, labels, latents or visible labels that do not fit.
        """
        inputs = self._inputs(images, visible_labels)
        labels = self._labels(labels, inputs)
        given = check_latents(latents, self._latent_shapes(inputs), inputs)

        def gaussians(images: np.ndarray, labels: np.ndarray, given: Any) -> tuple[Gaussian, ...]:
            return programs.posteriors(self.network, self.params, images, labels, given)

        size = check_batch_size(batch_size, len(inputs.images))
        return inputs.results(programs.in_batches(gaussians, size, 0, inputs.images, labels, given))

    @no_type_check
    def elbo(
        self,
        images: Images,
        labels: Labels,
        num_samples: int = 16,
        seed: int = 0,
        visible_labels: Labels | None = None,
        *,
        batch_size: int | None = None,
        image_ids: Sequence[int] | None = None,
    ) -> Bounds:
        """Bounds of the log-probability of given segmentations, log p(Y|X) (Eq. 5).

        Args:
          images: as in `sample`.
          labels: integers [B, H, W], the segmentations Y.
          num_samples: number of samples of the posterior; more make the ELBO more exact and the
            importance-weighted bound tighter.
          seed: seed of these samples.
          visible_labels: as in `sample`.
          batch_size: as in `sample`.
          image_ids: as in `sample`.

        Returns:
          The bounds of each image in nats; `.per_pixel` has them for a pixel.

        Raises:
          ValueError: for images, labels or visible labels that do not fit, and any other argument
            of the wrong type or range; it names the argument.
        """
        inputs = self._inputs(images, visible_labels)
        labels = self._labels(labels, inputs)
        num_samples = check_integer("num_samples", num_samples, 1)
        seed = check_seed(seed)
        ids = check_image_ids(image_ids, inputs)

        def draw(images: np.ndarray, labels: np.ndarray, ids: np.ndarray) -> Any:
            return draw_weights(
                self.network,
                self.params,
                images,
                labels,
                seed=seed,
                num_samples=num_samples,
                image_ids=ids,
            )

        size = check_batch_size(batch_size, len(inputs.images))
        weights = programs.in_batches(draw, size, 1, inputs.images, labels, ids)
        num_pixels = inputs.images.shape[1] * inputs.images.shape[2]
        return bounds_of(inputs.results(weights, axis=1), num_pixels)

    @no_type_check
    def open(
        self,
        image: Num[np.ndarray, "H W c"],
        visible_labels: Integer[np.ndarray, "H W"] | None = None,
        *,
        spacing: tuple[float, float] | None = None,
    ) -> Case:
        """Encodes an image once, for everything that can then be asked of it.

        Args:
          image: a single image [H, W, channels], as in `sample`.
          visible_labels: as in `sample`, [H, W].
          spacing: height and width of a pixel in mm, where known.

        Returns:
          The case: its samples, hypotheses, uncertainty, and segmentations of given latents.

        Raises:
          ValueError: for an image of another shape or scale, or visible labels that do not fit.
        """
        inputs = self._inputs(image, visible_labels)
        if not inputs.single:
            raise ValueError(
                "image must be a single image [H, W, channels], but has shape "
                f"{np.shape(image)}: open images one by one."
            )
        instances = bool(self.config.get("data", {}).get("num_ids", None))
        return Case(self.network, self.params, inputs, check_spacing(spacing), instances)

    @no_type_check
    def describe(self, images: Images) -> np.ndarray:
        """Describes images by the encoder's finest features, for a calibration.

        Args:
          images: as in `sample`.

        Returns:
          float32 [B, D]: of D / 2 channels the means, then the logarithms of their deviations.

        Raises:
          ValueError: for images of the wrong shape or scale, or a model that extrapolates.
        """
        inputs = self._inputs(images, None)
        return inputs.results(describe(self.network, self.params, inputs.images))

    @no_type_check
    def unlikeness(self, images: Images) -> np.ndarray | None:
        """How unlike images are to those that the model was trained on: above 1 is unusual.

        A larger image than the training's crops is cut into tiles as large as these; it is as
        unlike as three quarters of its tiles at most are.

        Args:
          images: as in `sample`, but of any height and width.

        Returns:
          float [B], the distances in units of that within which 99 % of validation images lie
          (`hpunet_jax.inference.calibration`); None if the model has no calibration.

        Raises:
          ValueError: for images of the wrong shape or scale.
        """
        if self.calibration is None:
            return None
        images = to_array("images", images)
        single = images.ndim == 3
        tiles = [
            cut_tiles(image, self.config.data.crop, self.network.size_multiple)
            for image in as_unit_images(images[None] if single else images)
        ]
        found = np.array(
            [np.quantile(self.calibration.unlikeness(self.describe(t)), LIKE) for t in tiles]
        )
        return found[0] if single else found

    @no_type_check
    def warning(self, name: str, images: Images) -> str | None:
        """What there is to say of images that are unlike those that the model was trained on.

        Args:
          name: the name of the image, or of the file whose slices they are.
          images: as in `unlikeness`.

        Returns:
          A sentence; None of usual images, or if the model has no calibration.
        """
        if self.calibration is None:
            return None
        return sentence(name, np.atleast_1d(self.unlikeness(images)))

    def _inputs(self, images: Any, visible_labels: Any) -> Inputs:
        return check_inputs(self.network, images, visible_labels, self.extrapolates)

    def _labels(self, labels: Any, inputs: Inputs) -> np.ndarray:
        shape = (*inputs.lead, *inputs.images.shape[1:3])
        labels = check_labels(labels, shape, self.num_classes)
        return labels.reshape(inputs.images.shape[:3])

    def _latent_shapes(self, inputs: Inputs) -> tuple[tuple[int, ...], ...]:
        return programs.latent_shapes(self.network, inputs.images.shape[1:])
