"""The reference that Section 1 argues against: pixels sampled one by one from the marginal."""

from collections.abc import Sequence

import numpy as np


def independent_pixels(marginal: np.ndarray, num_samples: int, seed: Sequence[int]) -> np.ndarray:
    """Samples every pixel on its own from its class probabilities.

    Args:
      marginal: [B, H, W, C], summing to 1 over the classes.
      num_samples: number of samples N.
      seed: [word, number of the first image], two integers; each image has its own stream, drawn
        from the word and its number, whatever the batches.

    Returns:
      uint8 [N, B, H, W].
    """
    word, first = seed
    size = (num_samples, *marginal.shape[1:3])
    uniform = np.stack(
        [
            np.random.default_rng([word, first + image]).random(size, np.float32)
            for image in range(len(marginal))
        ],
        axis=1,
    )
    labels = np.zeros(uniform.shape, np.uint8)
    for below in np.moveaxis(np.cumsum(marginal, axis=-1), -1, 0)[:-1]:
        labels += uniform >= below
    return labels
