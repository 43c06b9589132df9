"""The reconstruction term: cross-entropy over the worst pixels (Section 2, "Training").

It is summed over pixels and averaged over the batch, since the likelihood factorises over the
pixels of an image (Appendix D, "Training").
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from hpunet_jax.objectives.top_k import top_k_mask


class Reconstruction(NamedTuple):
    """The reconstruction term L_rec of a batch; scalars are float32.

    Attributes:
      sum: sum over the selected pixels of an image, averaged over the batch.
      mean: mean over all selected pixels of the batch; 0 if there are none.
      num_selected: number of selected pixels of an image, averaged over the batch.
      mask: float32 [B, H, W], 1 for the selected pixels.
    """

    sum: Float[Array, ""]
    mean: Float[Array, ""]
    num_selected: Float[Array, ""]
    mask: Float[Array, "B H W"]


def reconstruction_loss(
    logits: Float[Array | np.ndarray, "B H W C"],
    label: Int[Array | np.ndarray, "B H W"],
    mask: Float[Array | np.ndarray, "B H W"],
    *,
    top_k: float = 1.0,
    key: Key[Array, ""] | None = None,
) -> Reconstruction:
    """Cross-entropy of the labels, over all valid pixels or over the worst of the batch.

    Args:
      logits: [B, H, W, C].
      label: int32 [B, H, W]; any, also `labels.NO_TARGET`, where the mask is 0.
      mask: float32 [B, H, W]; 0 for pixels that take no part (padding, ignore).
      top_k: as of `select_pixels`.
      key: as of `select_pixels`.

    Returns:
      The loss and what was selected.

    Raises:
      ValueError: if `top_k` is not in (0, 1].
    """
    # Without a label, a pixel's loss may be negative, and with it the sum that scores divide by.
    loss = cross_entropy(logits.astype(jnp.float32), jnp.maximum(label, 0))
    return reconstruction(loss, select_pixels(loss, mask, top_k, key))


def select_pixels(
    loss: Float[Array, "B H W"],
    mask: Float[Array | np.ndarray, "B H W"],
    top_k: float = 1.0,
    key: Key[Array, ""] | None = None,
) -> Bool[Array | np.ndarray, "B H W"]:
    """The pixels of a batch that are learnt from.

    Args:
      loss: float32 [B, H, W], the loss of each pixel.
      mask: float32 [B, H, W]; 0 for pixels that take no part.
      top_k: fraction of the batch's pixels to select, counted over masked pixels too. The paper:
        0.02; 1 selects every valid pixel.
      key: selects stochastically: without replacement, with probabilities proportional to the
        pixels' losses (Gumbel top-k). None selects the highest losses.

    Returns:
      bool [B, H, W].

    Raises:
      ValueError: if `top_k` is not in (0, 1].
    """
    valid = mask > 0
    if top_k == 1.0:
        return valid
    k = num_selected_pixels(loss.size, top_k)
    noise = 0.0 if key is None else gumbel_noise(jax.random.uniform(key, loss.shape))
    return top_k_mask(selection_scores(loss, noise), valid, k)


def reconstruction(
    loss: Float[Array, "B H W"], selected: Bool[Array | np.ndarray, "B H W"]
) -> Reconstruction:
    """The reconstruction term of a batch from the loss of each pixel and the selected pixels."""
    mask = jnp.asarray(selected, jnp.float32)
    total = jnp.sum(jnp.where(selected, loss, 0.0))
    count = jnp.sum(mask)
    batch_size = loss.shape[0]
    return Reconstruction(
        sum=total / batch_size,
        mean=total / jnp.maximum(count, 1.0),
        num_selected=count / batch_size,
        mask=mask,
    )


def cross_entropy(
    logits: Float[Array | np.ndarray, "*shape C"], label: Int[Array | np.ndarray, "*shape"]
) -> Float[Array, "*shape"]:
    """-log of the label's softmax, for each pixel.

    Its logit is selected by comparing, not gathered: TPUs gather number by number.

    Args:
      logits: [..., C].
      label: [...], in [0, C).

    Returns:
      [...], not negative.
    """
    of_label = jnp.asarray(label)[..., None] == jnp.arange(logits.shape[-1])
    return jax.nn.logsumexp(logits, axis=-1) - jnp.sum(jnp.where(of_label, logits, 0.0), axis=-1)


def num_selected_pixels(num_pixels: int, top_k: float) -> int:
    """k = floor(number of pixels x fraction), in float32 as in the official code."""
    if not 0.0 < top_k <= 1.0:
        raise ValueError(f"objective.top_k must lie in (0, 1], not {top_k}; 1 turns it off.")
    return math.floor(np.float32(num_pixels) * np.float32(top_k))


def selection_scores(
    loss: Float[Array | np.ndarray, "*shape"], noise: Float[Array | np.ndarray, "*shape"] | float
) -> Float[Array, "*shape"]:
    """The scores whose k highest are selected: log of the normalised loss, plus noise."""
    loss = jax.lax.stop_gradient(loss)
    return jnp.log(loss / jnp.sum(loss)) + noise


def gumbel_noise(uniform: Float[Array | np.ndarray, "*shape"]) -> Float[Array, "*shape"]:
    """Turns uniform numbers in [0, 1) into Gumbel noise; never infinite."""
    tiny = 1e-20
    return -jnp.log(-jnp.log(uniform + tiny) + tiny)
