"""What the protocols evaluate, and how they feed it (Appendix B)."""

from typing import Protocol

import numpy as np


class Segmenter(Protocol):
    """What is evaluated: `hpunet_jax.Model`, or anything that samples and reconstructs alike."""

    @property
    def num_classes(self) -> int: ...

    def sample(
        self, images: np.ndarray, num_samples: int, seed: int, *, probabilities: bool
    ) -> np.ndarray: ...

    def reconstruct(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray: ...


class FullBatches:
    """Fills up the last batch, so that the model is not compiled for another batch size."""

    def __init__(self, model: Segmenter, batch_size: int):
        self._model, self._size = model, batch_size

    def sample(self, images: np.ndarray, num_samples: int, seed: list[int]) -> np.ndarray:
        """Class probabilities [N, B, H, W, C]; the seed is that of the run and the first image."""
        # Image j of a batch sees the same noise in each call: the seed has to differ.
        samples = self._model.sample(
            self._fill(images), num_samples, seed_word(seed), probabilities=True
        )
        return np.asarray(samples)[:, : len(images)]

    def reconstruct(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Labels [B, H, W] through the posterior means."""
        rebuilt = self._model.reconstruct(self._fill(images), self._fill(labels))
        return np.asarray(rebuilt)[: len(images)]

    def _fill(self, array: np.ndarray) -> np.ndarray:
        missing = max(0, self._size - len(array))
        return np.concatenate([array, array[-1:].repeat(missing, axis=0)])


def seed_word(seed: list[int]) -> int:
    """Several seeds as one, in [0, 2^31)."""
    return int(np.random.SeedSequence(seed).generate_state(1)[0]) >> 1
