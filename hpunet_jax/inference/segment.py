"""From images to instances with their confidences: sampling, clustering, clean-up, scores.

Sections 3.3 and 3.4 with Appendices B.3, G and H, for images of any size.
"""

import dataclasses
import functools
from typing import Any, NamedTuple, no_type_check

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from hpunet_jax.arguments import check_choice, check_integer, check_seed
from hpunet_jax.inference import devices
from hpunet_jax.inference.inputs import as_unit_images, check_takes_images_alone
from hpunet_jax.inference.model import Model
from hpunet_jax.inference.padding import pad_to_multiple
from hpunet_jax.inference.summing import drawn_noise, like, over_samples
from hpunet_jax.instances import clean_up, hamming_cluster, only_classes, renumber
from hpunet_jax.instances.clean_up import NoNeighbour
from hpunet_jax.instances.scores import InstanceTable, instance_table
from hpunet_jax.networks import check_image_shape
from hpunet_jax.tasks.targets import stochastic_classes

Executable = Any


@no_type_check  # checked by itself, with sentences
@dataclasses.dataclass(frozen=True)
class SegmentOptions:
    """How samples become instances; the defaults are the paper's for SNEMI3D.

    Attributes:
      num_samples: number of samples N.
      threshold: the clustering's alpha, of `hamming_cluster`: less than 2 N, the distance of pixels
        that differ in every sample. It belongs to N: both of the paper's are equal to it.
      erosion: side of the square that a cluster must have room for, of `clean_up`.
      neighbourhood: side of the box of neighbours, of `clean_up`.
      no_neighbour: what becomes of tiny clusters without neighbours, of `clean_up`.
      seed: seed of samples and clustering.

    Raises:
      ValueError: for options of another type or out of range; it names the option.
    """

    num_samples: int = 16
    threshold: int = 16
    erosion: int = 5
    neighbourhood: int = 11
    no_neighbour: NoNeighbour = "keep"
    seed: int = 0

    def __post_init__(self):
        samples = check_integer("num_samples", self.num_samples, 1)
        check_integer("threshold", self.threshold, 0)
        if self.threshold >= 2 * samples:
            raise ValueError(
                f"threshold must be less than {2 * samples} for {samples} samples, not "
                f"{self.threshold}: pixels of {samples} samples are never further apart, so that "
                f"all would be background. The paper's is as large as the number of samples."
            )
        check_integer("erosion", self.erosion, 1, odd=True)
        check_integer("neighbourhood", self.neighbourhood, 1, odd=True)
        check_choice("no_neighbour", self.no_neighbour, ("keep", "background"))
        check_seed(self.seed)

    @classmethod
    def from_config(cls, config: ml_collections.ConfigDict, **changes: Any) -> "SegmentOptions":
        """What the section `evaluation` of a model's config says, with changes.

        The threshold belongs to the number of samples: where that alone is changed, the config's
        threshold grows or shrinks with it, so that the same share of samples may differ.

        Args:
          config: the whole config.
          **changes: fields to take in place of the config's; None keeps the config's.

        Raises:
          ValueError: see the class.
        """
        section = config.get("evaluation", {})
        names = {"num_samples": "num_samples", "threshold": "hamming_threshold"}
        names |= {"erosion": "erosion", "neighbourhood": "neighbourhood", "seed": "seed"}
        fields = {field: section[name] for field, name in names.items() if name in section}
        if section.get("protocol") == "cityscapes":
            fields["no_neighbour"] = "background"
        changes = {name: value for name, value in changes.items() if value is not None}
        if "num_samples" in changes and "threshold" not in changes:
            samples = check_integer("num_samples", changes["num_samples"], 1)
            before = fields.get("num_samples", cls.num_samples)
            threshold = fields.get("threshold", cls.threshold)
            changes["threshold"] = round(threshold * samples / before)
        return cls(**fields | changes)


class Segmentation(NamedTuple):
    """The instances of one image.

    Attributes:
      instances: uint16 [H, W], numbered from 1 without gaps; 0 is background.
      labels: uint8 or int32 [N, H, W], the samples.
      table: areas, boxes and confidences of the instances.
    """

    instances: np.ndarray
    labels: np.ndarray
    table: InstanceTable


class Segmenter:
    """Segments images, one at a time. It is compiled anew for each size of image.

    The network sees the whole image at once, since an object must have one label in a sample
    wherever it lies: tiles would each give it another. The memory this takes grows with the number
    of pixels; `memory` says how much it is, and images that need too much are refused.
    """

    def __init__(self, model: Model, options: SegmentOptions, max_memory: float | None = None):
        """Args:
          model: the model.
          options: how samples become instances.
          max_memory: the greatest memory in bytes that an image may need; None accepts any.

        Raises:
          ValueError: if the model does not tell instances apart.
        """
        self.model, self.options, self.max_memory = model, options, max_memory
        num_ids = model.config.get("data", {}).get("num_ids", None)
        self.classes = stochastic_classes(model.num_classes, num_ids)
        check_takes_images_alone(model.extrapolates)
        self._compiled = functools.cache(self._compile)

    def __call__(self, image: np.ndarray) -> Segmentation:
        """Segments an image.

        Args:
          image: uint8 or uint16 [H, W, channels], or floating point in [0, 1]; of any size
            (`pad_to_multiple` says how it is padded).

        Returns:
          Its instances. The confidences (Appendix B.3) of a calibrated model are divided by how
          unlike the image is to those of training, where that is unusual (`Model.unlikeness`): a
          network may be as sure of an image at another scale as of one at its own.

        Raises:
          ValueError: for an image of other channels or values, one that needs too much memory, or
            has more than 65,535 instances.
        """
        padded, inside = self._padded(image)
        labels, foreground = self._sample(padded)
        labels, foreground = labels[:, *inside], foreground[inside]
        instances = instances_from_samples(labels, self.classes, self.options)
        table = instance_table(instances, only_classes(labels, self.classes), foreground)
        unlikeness = self.model.unlikeness(image)
        if unlikeness is not None:
            table = table._replace(confidences=table.confidences / max(1.0, float(unlikeness)))
        return Segmentation(instances, labels, table)

    def memory(self, size: tuple[int, int]) -> int:
        """Bytes that sampling an image of this height and width takes, without the parameters."""
        multiple = self.model.network.size_multiple
        height, width = (-(-length // multiple) * multiple for length in size)
        return self._compiled((1, height, width, self.model.network.image_channels))[1]

    def _padded(self, image: np.ndarray) -> tuple[np.ndarray, tuple[slice, slice]]:
        image = as_unit_images(np.asarray(image)[None])[0]
        if not image.size:
            raise ValueError("the image has no pixels.")
        padded, inside = pad_to_multiple(image, self.model.network.size_multiple)
        check_image_shape(self.model.network, padded.shape)
        return padded, inside

    def _sample(self, padded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        compiled, memory = self._compiled((1, *padded.shape))
        if self.max_memory is not None and memory > self.max_memory:
            height, width = padded.shape[:2]
            raise ValueError(
                f"an image of {height}x{width} pixels needs {memory / 1e9:.1f} GB to be sampled, "
                f"more than the {self.max_memory / 1e9:.1f} GB allowed: allow more, cut it into "
                "parts, or scale it down."
            )
        labels, foreground = compiled(self.model.params, padded[None], self.options.seed)
        return np.asarray(labels[:, 0]), np.asarray(foreground[0])

    def _compile(self, shape: tuple[int, ...]) -> tuple[Executable, int]:
        function = functools.partial(
            _labels_and_foreground,
            self.model.network,
            num_samples=self.options.num_samples,
            classes=self.classes,
            mesh=devices.mesh_of(self.model.params),
        )
        image = jax.ShapeDtypeStruct(shape, jnp.float32)
        compiled = jax.jit(function).lower(self.model.params, image, self.options.seed).compile()
        sizes = compiled.memory_analysis()  # None where a backend does not say
        needed = sizes.temp_size_in_bytes + sizes.output_size_in_bytes if sizes else 0
        return compiled, needed


def instances_from_samples(
    labels: np.ndarray, classes: range, options: SegmentOptions
) -> np.ndarray:
    """Clusters the samples of an image and cleans up (Appendices G and H).

    Args:
      labels: integers [N, H, W].
      classes: the stochastic classes; all others are background.
      options: how samples become instances.

    Returns:
      uint16 [H, W], numbered from 1 without gaps; 0 is background.

    Raises:
      ValueError: for more than 65,535 instances, or options that make no sense.
    """
    clusters = hamming_cluster(only_classes(labels, classes), options.threshold, seed=options.seed)
    cleaned = clean_up(
        clusters,
        erosion=options.erosion,
        neighbourhood=options.neighbourhood,
        no_neighbour=options.no_neighbour,
    )
    return renumber(cleaned, np.uint16)


def _labels_and_foreground(network, params, images, seed, *, num_samples, classes, mesh):
    """Labels [N, B, H, W] as of `Model.sample`, and `foreground_probability` of them [B, H, W].

    The probabilities are added up sample by sample, so that there is never an array of samples
    times classes.
    """

    def fold(total, logits, numbers):
        foreground = jax.nn.softmax(logits)[..., classes.start : classes.stop].sum(axis=-1)
        return total + jnp.where(like(numbers < num_samples, total), foreground, 0)

    def empty(shape):
        return jnp.zeros(shape[:-1])

    noise = drawn_noise(seed, jnp.arange(len(images)))
    labels, total = over_samples(network, params, images, noise, num_samples, mesh, fold, empty)
    return labels, devices.added(total, len(images)) / num_samples
