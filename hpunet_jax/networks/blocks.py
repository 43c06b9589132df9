"""Blocks of columns in the channels: another layout of the same features, for matrix units.

A matrix unit multiplies blocks of 128x128, of which a convolution from 12 to 12 feature maps fills
a hundredth. Here r neighbouring columns of a fine scale lie in the channels of one, so that r times
as many are multiplied at once (r = 4, two maps a and b; rows and images stay as they are):

    columns     0   1   2   3 | 4   5   6   7 | ...        [B, h, w, c]
    in blocks   a0 b0 a1 b1 a2 b2 a3 b3 | a4 b4 a5 ...     [B, h, w / r, r c]

A 3x3 kernel becomes one from three neighbouring blocks to the columns of the middle one. Column j
of the result reads the columns j - 1, j, j + 1, of the block before (-), this one or the next (+):

    reads from   3-   0   1   2   3   0+
    result 0     w0  w1  w2                    w0, w1, w2: the kernel's columns of taps,
    result 1         w0  w1  w2                each a matrix [c, d] for each row of taps;
    result 2             w0  w1  w2            all other places are 0
    result 3                 w0  w1  w2

Up-sampling repeats columns. Instead of writing them twice, a scale reads the r / 2 coarse ones, a
for the columns 0 and 1, b for 2 and 3, and taps that meet in one are added:

    reads from   b-      a       b       a+
    result 0     w0   w1 + w2
    result 1          w0 + w1    w2
    result 2             w0   w1 + w2
    result 3                  w0 + w1    w2

Features that are concatenated (latents, those from below, the skip's) stay apart until a kernel,
concatenated alike, reads them. The parameters are those of the plain network.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Blocked:
    """Features [B, h, w, c] in blocks of columns; c is the sum of the parts' channels.

    Attributes:
      parts: features that are concatenated, each [B, h, w / width, columns * channels].
      columns: columns of a block that each part has; fewer than `width` stand for repeated ones.
      width: columns of a block.
    """

    parts: tuple[Any, ...]  # arrays, or what stands for them in a tree
    columns: tuple[int, ...] = dataclasses.field(metadata={"static": True})
    width: int = dataclasses.field(metadata={"static": True})

    @property
    def channels(self) -> tuple[int, ...]:
        """Feature maps of each part."""
        pairs = zip(self.parts, self.columns, strict=True)
        return tuple(part.shape[-1] // columns for part, columns in pairs)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape [B, h, w, c] of the features."""
        b, h, blocks, _ = self.parts[0].shape
        return b, h, blocks * self.width, sum(self.channels)

    @property
    def dtype(self) -> jnp.dtype:
        """The dtype of the features."""
        return self.parts[0].dtype

    def astype(self, dtype: DTypeLike) -> "Blocked":
        """The features in another dtype."""
        return jax.tree.map(lambda part: part.astype(dtype), self)

    def joined(self) -> "Blocked":
        """The same with one part, its repeated columns written out."""
        if self.columns == (self.width,):
            return self
        b, h, blocks, _ = self.parts[0].shape
        parts = [
            jnp.repeat(part.reshape(b, h, blocks, columns, -1), self.width // columns, axis=3)
            for part, columns in zip(self.parts, self.columns, strict=True)
        ]
        joined = jnp.concatenate(parts, axis=-1).reshape(b, h, blocks, -1)
        return Blocked((joined,), (self.width,), self.width)

    def down_sampled(self) -> "Features":
        """The means of 2x2 pixels, in blocks of half as many columns."""
        (part,) = self.joined().parts
        b, h, blocks, _ = part.shape
        half = self.width // 2
        rows = part.reshape(b, h // 2, 2, blocks, -1).mean(axis=2)
        # A product, since channels that are taken apart and summed are moved about on TPUs.
        pairs = np.kron(np.eye(half), np.full((2, 1), 0.5))
        means = _multiply(rows, np.kron(pairs, np.eye(part.shape[-1] // self.width)))
        return Blocked((means,), (half,), half) if half > 1 else means


Features = Float[Array | np.ndarray, "B _h _w _c"] | Blocked


def plain(features: Features) -> Float[Array, "B _h _w _c"]:
    """Features as [B, h, w, c]."""
    if isinstance(features, Blocked):
        (part,) = features.joined().parts
        return part.reshape(features.shape)
    return jnp.asarray(features)


def to_blocks(features: Features, width: int) -> Features:
    """Features in blocks of `width` columns; of 1 column they are plain [B, h, w, c]."""
    return plain(features) if width == 1 else _blocked(features, width)


def _blocked(features: Features, width: int) -> Blocked:
    if isinstance(features, Blocked) and features.width == width:
        return features
    array = plain(features)
    b, h, w, c = array.shape
    return Blocked((array.reshape(b, h, w // width, width * c),), (width,), width)


def add(features: Features, others: Features) -> Features:
    """The sum of features of the same shape; in blocks if the first are."""
    if isinstance(features, Blocked):
        summand = _blocked(others, features.width)
        return jax.tree.map(jnp.add, features.joined(), summand.joined())
    return plain(features) + plain(others)


def up_sample_to_blocks(features: Features, width: int) -> Blocked:
    """Twice as high and wide, in blocks of `width` (2 or more) columns; only rows are repeated."""
    below = _blocked(features, width // 2)
    return Blocked(tuple(jnp.repeat(part, 2, axis=1) for part in below.parts), below.columns, width)


def concatenate(features: Sequence[Features]) -> Features:
    """Features one after the other along the channels; the last says how columns lie."""
    *others, last = features
    if not isinstance(last, Blocked):
        return jnp.concatenate([plain(part) for part in features], axis=-1)
    blocked = [*(_blocked(part, last.width) for part in others), last]
    parts = [part for one in blocked for part in one.parts]
    columns = [number for one in blocked for number in one.columns]
    return Blocked(tuple(parts), tuple(columns), last.width)


def kernel_of_blocks(
    kernel: Float[Array | np.ndarray, "k k c d"], features: Blocked
) -> Float[Array, "k _blocks _inputs _outputs"]:
    """The kernel that gives from features in blocks what `kernel` gives from plain ones.

    Args:
      kernel: float32, of 1x1 or 3x3 taps.
      features: what it is to be applied to.

    Returns:
      float32 [1, 1, inputs, outputs] or [3, 3, inputs, outputs]: inputs are the columns and
      channels of each part, outputs `features.width` columns of d channels.
    """
    starts = np.cumsum(features.channels)[:-1]
    pieces = []
    for part, columns in zip(jnp.split(kernel, starts, axis=2), features.columns, strict=True):
        taps = _taps(len(kernel), columns, features.width)
        placed = jnp.einsum("vajq,pqcd->pvacjd", taps, part, precision=jax.lax.Precision.HIGHEST)
        rows, blocks, _, c, _, d = placed.shape
        pieces.append(placed.reshape(rows, blocks, columns * c, features.width * d))
    return jnp.concatenate(pieces, axis=2)


def bias_of_blocks(bias: Float[Array | np.ndarray, " d"], width: int) -> Float[Array, " outputs"]:
    """The bias of `width` columns."""
    # Not repeated: its gradient would be summed over columns while positions are summed.
    return _multiply(bias, np.tile(np.eye(len(bias)), width))


def _multiply(
    features: Float[Array | np.ndarray, "*axes c"], matrix: np.ndarray
) -> Float[Array, "*axes d"]:
    """The product with a constant matrix, as exact as sums are."""
    constant = jnp.asarray(matrix, features.dtype)
    return jnp.matmul(features, constant, precision=jax.lax.Precision.HIGHEST)


def _taps(size: int, columns: int, width: int) -> np.ndarray:
    """Which tap reads what: the figures above, as 0 and 1.

    Returns:
      float32 [neighbouring blocks, columns read, columns of the result, taps].
    """
    reach = size // 2
    taps = np.zeros((2 * reach + 1, columns, width, size), np.float32)
    for result in range(width):
        for tap in range(size):
            block, column = divmod(result + tap - reach, width)
            taps[block + reach, column * columns // width, result, tap] = 1
    return taps
