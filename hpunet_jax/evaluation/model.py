"""What the protocols evaluate, and how they feed it (Appendix B)."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Integer, Shaped

from hpunet_jax.inference.marginal import Drawn, draw_with_marginal
from hpunet_jax.inference.model import Model
from hpunet_jax.inference.whole import draw_whole, reconstruct_whole

Images = Shaped[np.ndarray, "B H W channels"]


@runtime_checkable
class SegmentationModel(Protocol):
    """What is evaluated: `hpunet_jax.Model`, or anything that samples and reconstructs alike."""

    @property
    def num_classes(self) -> int: ...

    def sample(
        self, images: np.ndarray, num_samples: int, seed: int, *, probabilities: bool
    ) -> np.ndarray: ...

    def reconstruct(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray: ...


class FullBatches:
    """Fills up the last batch, so that the model is not compiled for another batch size."""

    def __init__(self, model: SegmentationModel, batch_size: int):
        self._model, self._size = model, batch_size

    def sample(self, images: Images, num_samples: int, seed: int, first: int) -> Drawn:
        """Draws samples, those of an image by its number in the split, whatever its batch.

        Args:
          images: [B, H, W, channels].
          num_samples: number of samples N.
          seed: seed of the evaluation.
          first: the first image's number; the others follow.

        Returns:
          The labels of all samples, and their mean class probabilities.
        """
        filled = self._fill(images)
        if isinstance(self._model, Model):
            numbers = first + np.arange(len(filled))
            drawn = draw_with_marginal(self._model, filled, num_samples, seed, numbers)
        else:
            drawn = _draw_from_any(self._model, filled, num_samples, seed, first)
        count = len(images)
        return Drawn(drawn.labels[:, :count], drawn.marginal[:count], drawn.first[:count])

    def reconstruct(
        self, images: Images, labels: Integer[np.ndarray, "B H W"]
    ) -> Integer[np.ndarray, "B H W"]:
        """Labels [B, H, W] through the posterior means."""
        rebuilt = self._model.reconstruct(self._fill(images), self._fill(labels))
        return np.asarray(rebuilt)[: len(images)]

    def _fill(self, array: np.ndarray) -> np.ndarray:
        missing = max(0, self._size - len(array))
        return np.concatenate([array, array[-1:].repeat(missing, axis=0)])


class WholeImages:
    """Images of any size, one at a time: at once or in tiles (`inference.whole`)."""

    def __init__(self, model: SegmentationModel, tile: Sequence[int]):
        self._model, self._tile = model, tile

    def sample(self, images: Images, num_samples: int, seed: int, first: int) -> Drawn:
        """Draws samples of images [1, H, W, channels], as `FullBatches` does."""
        if not isinstance(self._model, Model):
            return _draw_from_any(self._model, images, num_samples, seed, first)
        return draw_whole(self._model, images[0], num_samples, seed, first, tile=self._tile)

    def reconstruct(
        self, images: Images, labels: Integer[np.ndarray, "B H W"]
    ) -> Integer[np.ndarray, "B H W"]:
        """Labels [1, H, W] through the posterior means."""
        if not isinstance(self._model, Model):
            return np.asarray(self._model.reconstruct(images, labels))
        return reconstruct_whole(self._model, images[0], labels[0], tile=self._tile)[None]


def _draw_from_any(
    model: SegmentationModel, images: Images, num_samples: int, seed: int, first: int
) -> Drawn:
    """Of a model that knows no numbers of images: the seed has to tell batches apart."""
    word = seed_word([seed, first])
    samples = np.asarray(model.sample(images, num_samples, word, probabilities=True))
    return Drawn(samples.argmax(axis=-1), samples.mean(axis=0), samples[0])


def seed_word(seed: list[int]) -> int:
    """Several seeds as one, in [0, 2^31)."""
    return int(np.random.SeedSequence(seed).generate_state(1)[0]) >> 1
