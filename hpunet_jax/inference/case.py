"""One image, encoded once: every further question costs passes of the decoder only."""

from collections.abc import Sequence
from typing import Any, no_type_check

import numpy as np
from jaxtyping import Integer

from hpunet_jax.arguments import check_array, check_flag, check_integer, check_number, check_seed
from hpunet_jax.inference import programs
from hpunet_jax.inference.fit import Fit, check_marks, fit_marks
from hpunet_jax.inference.hypotheses import Hypothesis, distinct_hypotheses
from hpunet_jax.inference.inputs import (
    Inputs,
    Latents,
    check_apart,
    check_image_ids,
    check_labels,
    check_latents,
    mean_flags,
)
from hpunet_jax.inference.uncertainty import Uncertainty, uncertainty
from hpunet_jax.networks import Gaussian, Network


class Case:
    """An image that `Model.open` has encoded. Nothing of it changes by being used.

    Latents are one array [h, w, d] for each latent scale, coarse to fine.

    Attributes:
      network: the network's functions.
      params: its parameters.
      inputs: what the network sees of the image.
      features: what the encoder makes of it.
      spacing: height and width of a pixel in mm; None where it is not known.
      instances: whether the classes of instances are random labels, which cannot be compared.
      classes: the foreground classes.
      latent_shapes: [h, w, d] of each latent scale.
    """

    def __init__(
        self,
        network: Network,
        params: Any,
        inputs: Inputs,
        spacing: tuple[float, float] | None = None,
        instances: bool = False,
    ):
        """Encodes an image; see `Model.open`.

        Args:
          network: the network's functions.
          params: its parameters.
          inputs: what the network sees of the image, a single one.
          spacing: height and width of a pixel in mm; None where it is not known.
          instances: whether the classes of instances are random labels.
        """
        self.network, self.params, self.inputs, self.spacing = network, params, inputs, spacing
        self.instances = instances
        self.classes = range(1, network.num_classes)
        self.latent_shapes = programs.latent_shapes(network, inputs.images.shape[1:])
        self.features = programs.encode(network, params, inputs.images)

    # The methods below check their arguments themselves, see hpunet_jax/arguments.py.

    @no_type_check
    def sample(
        self,
        num_samples: int = 16,
        seed: int = 0,
        scales: Sequence[int] | None = None,
        probabilities: bool = False,
        *,
        latents: Latents | None = None,
        return_latents: bool = False,
        image_id: int = 0,
    ) -> np.ndarray | tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """The samples that `Model.sample` draws of the image; the arguments are those.

        Args:
          num_samples: number of samples N.
          seed: seed of the latents.
          scales: the latent scales to sample; None samples all, [] none.
          probabilities: whether to return class probabilities instead of labels.
          latents: of each scale None, [h, w, d] for all samples, or [N, h, w, d].
          return_latents: whether to return the latents, too.
          image_id: determines the noise, with the seed.

        Returns:
          Labels [N, H, W] or probabilities [N, H, W, C]; maybe with the latents [N, h, w, d].

        Raises:
          ValueError: for an argument of the wrong type, range or shape; it names the argument.
        """
        num_samples = check_integer("num_samples", num_samples, 1)
        probabilities = check_flag("probabilities", probabilities)
        return_latents = check_flag("return_latents", return_latents)
        mean = mean_flags(scales, self.network.num_latent_scales)
        given = check_latents(latents, self.latent_shapes, self.inputs, num_samples)
        check_apart(scales, given)
        samples, used = programs.draw_samples(
            self.network,
            self.params,
            self.features,
            self.inputs.images.shape,
            seed=check_seed(seed),
            num_samples=num_samples,
            image_ids=check_image_ids(image_id, self.inputs, "image_id"),
            latents=given,
            mean=mean,
            probabilities=probabilities,
        )
        samples, used = self.inputs.results((samples, used), axis=1)
        return (samples, used) if return_latents else samples

    @no_type_check
    def decode(
        self,
        latents: Latents | None = None,
        noise: Latents | None = None,
        probabilities: bool = False,
        *,
        return_latents: bool = False,
    ) -> np.ndarray | tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """The segmentation of given latents.

        Args:
          latents: of each scale [h, w, d], or None where it follows from the coarser ones.
          noise: how scales follow that are not given: their prior mean plus so many prior standard
            deviations, [h, w, d] of each scale (also of those that are given; theirs are not looked
            at). None: they stay at their prior means.
          probabilities: whether to return class probabilities instead of labels.
          return_latents: whether to return the latents of all scales, too.

        Returns:
          Labels [H, W] or float32 probabilities [H, W, C]; maybe with the latents, [h, w, d] each.

        Raises:
          ValueError: for latents or noise of another number of scales, shape or type, or NaN.
        """
        given = check_latents(latents, self.latent_shapes, self.inputs)
        if noise is not None:
            noise = check_latents(noise, self.latent_shapes, self.inputs, name="noise")
            if any(z is None for z in noise):
                raise ValueError("noise must be given for every scale: 0 for prior means.")
        return_latents = check_flag("return_latents", return_latents)
        decoded = programs.decode(
            self.network,
            self.params,
            self.features,
            self.inputs.images.shape,
            given,
            noise,
            check_flag("probabilities", probabilities),
        )
        labels, used = self.inputs.results(programs.to_numpy(decoded))
        return (labels, used) if return_latents else labels

    @no_type_check
    def noise(self, latents: Latents) -> tuple[np.ndarray, ...]:
        """How many prior standard deviations latents lie from their prior means.

        Args:
          latents: of each scale [h, w, d], or None for the prior mean, whose noise is 0.

        Returns:
          float32 [h, w, d] of each scale, which given as `decode(noise=...)` make these latents.

        Raises:
          ValueError: for latents of another number of scales, shape or type, or NaN.
        """
        given = check_latents(latents, self.latent_shapes, self.inputs)
        return tuple(
            np.zeros_like(prior.mean) if z is None else (z[0] - prior.mean) / np.exp(prior.log_std)
            for z, prior in zip(given, self.prior(latents), strict=True)
        )

    @no_type_check
    def reconstruct(
        self, labels: Integer[np.ndarray, "H W"], probabilities: bool = False
    ) -> np.ndarray:
        """A segmentation [H, W] rebuilt through the posterior means, as `Model.reconstruct`."""
        means = [gaussian.mean for gaussian in self.posterior(labels)]
        return self.decode(means, probabilities=probabilities)

    @no_type_check
    def prior(self, latents: Latents | None = None) -> tuple[Gaussian, ...]:
        """The prior of each scale given coarser latents, as `Model.prior`: [h, w, d] each."""
        given = check_latents(latents, self.latent_shapes, self.inputs)
        shape = self.inputs.images.shape
        gaussians = programs.priors(self.network, self.params, self.features, shape, given)
        return self.inputs.results(programs.to_numpy(gaussians))

    @no_type_check
    def posterior(self, labels: Integer[np.ndarray, "H W"]) -> tuple[Gaussian, ...]:
        """The posterior of each scale at the means of coarser ones, as `Model.posterior`."""
        labels = check_labels(labels, self.inputs.images.shape[1:3], self.network.num_classes)
        nothing = (None,) * len(self.latent_shapes)
        gaussians = programs.posteriors(
            self.network, self.params, self.inputs.images, labels[None], nothing
        )
        return self.inputs.results(programs.to_numpy(gaussians))

    @no_type_check
    def hypotheses(
        self,
        num_samples: int = 64,
        at_most: int = 6,
        seed: int = 0,
        *,
        distinct: float = 0.25,
        image_id: int = 0,
    ) -> tuple[Hypothesis, ...]:
        """A few distinct segmentations that stand for all samples (Section 4), the likeliest first.

        See `hpunet_jax.inference.hypotheses` for how they are found.

        Args:
          num_samples: number of samples N.
          at_most: the greatest number of hypotheses.
          seed: seed of the samples.
          distinct: the mean IoU distance (1 - IoU) above which groups of samples are distinct,
            between 0 and 1; greater values give fewer hypotheses.
          image_id: determines the samples' noise, with the seed.

        Returns:
          The hypotheses; the first is the recommended one.

        Raises:
          ValueError: for an argument of the wrong type or range; it names the argument.
        """
        self._check_classes()
        at_most = check_integer("at_most", at_most, 1)
        distinct = check_number("distinct", distinct, 0, 1)
        labels, latents = self.sample(num_samples, seed, return_latents=True, image_id=image_id)
        return distinct_hypotheses(labels, latents, self.classes, at_most, distinct, self.spacing)

    @no_type_check
    def uncertainty(
        self, num_samples: int = 16, seed: int = 0, *, image_id: int = 0
    ) -> Uncertainty:
        """How much the samples of the image disagree, pixel by pixel and as a whole.

        Args:
          num_samples: number of samples N.
          seed: seed of the samples.
          image_id: determines the samples' noise, with the seed.

        Returns:
          Maps [H, W] and the samples' mean pairwise IoU.

        Raises:
          ValueError: for an argument of the wrong type or range; it names the argument.
        """
        self._check_classes()
        probabilities = self.sample(num_samples, seed, probabilities=True, image_id=image_id)
        return uncertainty(probabilities, self.classes)

    def _check_classes(self) -> None:
        if self.instances:
            raise ValueError(
                "this model gives instances random labels (data.num_ids), which differ from sample "
                "to sample: samples are compared by `hpunet segment`."
            )

    @no_type_check
    def fit(
        self,
        inside: np.ndarray | Sequence[tuple[int, int]] | None = None,
        outside: np.ndarray | Sequence[tuple[int, int]] | None = None,
        label: int = 1,
        *,
        max_passes: int = 200,
        num_starts: int = 16,
        seed: int = 0,
        start: Latents | None = None,
    ) -> Fit:
        """A segmentation in which marked pixels are as marked, of latents as usual as can be.

        See `hpunet_jax.inference.fit` for how it is found.

        Args:
          inside: the pixels that belong to the class `label`: bools [H, W], or a list of pairs
            (row, column), counted from 0.
          outside: the pixels that do not, likewise.
          label: the class.
          max_passes: the budget in passes of the decoder; a gradient step counts as 3.
          num_starts: how many latents to start from at most (and never more than `max_passes`), the
            prior means and samples; the ones that agree best with the marks are taken.
          seed: seed of these samples.
          start: latents to start from instead, as in `decode`.

        Returns:
          The segmentation, its latents, how unusual they are, and the marks that were not met.

        Raises:
          ValueError: for marks outside the image or contradictory ones, a model without latents,
            and any other argument of the wrong type or range; it names the argument.
        """
        if not self.latent_shapes:
            raise ValueError("this model has no latents to fit: it knows one segmentation only.")
        marks = check_marks(inside, outside, self.inputs.images.shape[1:3])
        label = check_integer("label", label, 0, self.network.num_classes - 1)
        max_passes = check_integer("max_passes", max_passes, 1)
        num_starts = check_integer("num_starts", num_starts, 1)
        generator = np.random.default_rng(check_seed(seed))
        num_starts = min(num_starts, max_passes)  # each takes a pass
        starts = [
            generator.standard_normal((num_starts, *shape), np.float32)
            for shape in self.latent_shapes
        ]
        for noise in starts:
            noise[0] = 0  # the prior means
        if start is not None:
            starts = [noise[None] for noise in self.noise(start)]
        return fit_marks(
            self.network,
            self.params,
            self.features,
            self.inputs.images.shape,
            marks,
            label,
            tuple(starts),
            max_passes,
        )


def check_spacing(spacing: Any) -> tuple[float, float] | None:
    """Height and width of a pixel in mm, or None; raises a `ValueError` for anything else."""
    if spacing is None:
        return None
    array = check_array("spacing", spacing, "fiu", (2,), "[2]")
    if not (np.isfinite(array).all() and (array > 0).all()):
        raise ValueError(f"spacing must be two positive numbers of mm, not {array.tolist()}.")
    return float(array[0]), float(array[1])
