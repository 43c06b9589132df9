"""How unlike an image is to those that a model was trained on: for an honest warning.

Described are the encoder's finest features: of each channel the mean over the image's pixels and
the logarithm of the standard deviation. The Mahalanobis distance of these numbers from those of
validation images tells how unlike an image is, in units of the distance within which 99 % of
validation images lie that the distance was not fitted to. It sees what an image is made of, not
whether a segmentation is right: an image like the usual ones may well be segmented badly.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from hpunet_jax.inference import programs
from hpunet_jax.inference.padding import pad_to_multiple
from hpunet_jax.networks import Network
from hpunet_jax.networks.blocks import Blocked, plain

USUAL = 0.99  # of the images kept aside lie within the distance 1
LIKE = 0.75  # of an image's tiles that are as like as its unlikeness says
FEWEST = 100  # images that a calibration needs
_FLOOR = 1e-3  # of a standard deviation, which may be 0
_SHRUNK = 0.05  # part of the covariance that is replaced by its diagonal


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What is usual, of one model.

    Attributes:
      mean: [D], the mean of validation images' descriptions.
      whitening: [D, D]; times it, differences from the mean have unit covariance.
      limit: the distance within which 99 % of the images kept aside lie.
      weights: `Model.digest` of the weights that made the descriptions.
    """

    mean: Float[np.ndarray, " D"]
    whitening: Float[np.ndarray, "D D"]
    limit: float
    weights: str

    def unlikeness(self, descriptions: Float[np.ndarray, "B D"]) -> Float[np.ndarray, " B"]:
        """Distances of descriptions in units of the limit: above 1 is unusual."""
        return _distances(descriptions, self.mean, self.whitening) / self.limit

    def digest(self) -> str:
        """A name for the calibration, of 16 hexadecimal digits, as `Model.digest` for weights."""
        arrays = (self.mean, self.whitening, np.float64(self.limit))
        return hashlib.sha256(b"".join(np.asarray(a).tobytes() for a in arrays)).hexdigest()[:16]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """As arrays, for a file."""
        return {name: np.asarray(value) for name, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Calibration":
        """What `to_arrays` gave.

        Raises:
          ValueError: if an array is missing, or is not what it should be.
        """
        missing = {field.name for field in dataclasses.fields(cls)} - arrays.keys()
        if missing:
            raise ValueError(f"its calibration has no {', '.join(sorted(missing))}")
        mean, whitening = (arrays[name].astype(np.float32) for name in ("mean", "whitening"))
        limit = float(arrays["limit"])
        shapes = mean.ndim == 1 and whitening.shape == (len(mean),) * 2
        if not (shapes and limit > 0 and np.isfinite(mean).all() and np.isfinite(whitening).all()):
            raise ValueError("its calibration does not hold finite numbers of matching shapes")
        return cls(mean, whitening, limit, str(arrays["weights"]))


def describe(network: Network, params: Any, images: np.ndarray) -> Float[np.ndarray, "B D"]:
    """Describes images by the encoder's finest features.

    Args:
      network: the network.
      params: its parameters.
      images: float32 [B, H, W, channels], what the network sees of them.

    Returns:
      float32, for each image the means of the channels and the logarithms of their deviations.
    """
    return np.asarray(programs.program(_describe, network, images.shape)(params, images))


def cut_tiles(
    image: Num[np.ndarray, "H W c"], crop: Sequence[int], multiple: int
) -> Num[np.ndarray, "T _h _w c"]:
    """Cuts an image into tiles as large as training's crops; they overlap where they must.

    Args:
      image: [H, W, channels].
      crop: height and width of a crop.
      multiple: of which height and width must be multiples, for an image smaller than a crop.

    Returns:
      The tiles; a smaller image is one, continued by its mirror image.
    """
    height, width = crop
    if image.shape[0] < height or image.shape[1] < width:
        return pad_to_multiple(image, multiple)[0][None]
    rows, columns = (
        np.linspace(0, whole - part, -(-whole // part)).astype(int)
        for whole, part in zip(image.shape, crop, strict=False)
    )
    return np.stack([image[y : y + height, x : x + width] for y in rows for x in columns])


def calibrate(descriptions: Iterable[np.ndarray], weights: str) -> Calibration:
    """Finds out what is usual: the distance from one half of the images, the limit from the other.

    Args:
      descriptions: of the images, [b, D] for each batch.
      weights: `Model.digest` of the weights that made them.

    Raises:
      ValueError: for fewer than 100 images.
    """
    found = np.concatenate([*descriptions]).astype(np.float64)
    if len(found) < FEWEST:
        raise ValueError(
            f"{len(found)} images are too few: a calibration needs {FEWEST}. Take a split that has "
            "as many, by --split, of images that the model was not trained on."
        )
    fitted, aside = found[::2], found[1::2]
    mean, covariance = fitted.mean(axis=0), np.cov(fitted.T).reshape((found.shape[1],) * 2)
    diagonal = np.diag(np.diag(covariance) + 1e-12)
    shrunk = (1 - _SHRUNK) * covariance + _SHRUNK * diagonal
    whitening = np.linalg.inv(np.linalg.cholesky(shrunk)).T
    limit = np.quantile(_distances(aside, mean, whitening), USUAL)
    return Calibration(mean.astype(np.float32), whitening.astype(np.float32), float(limit), weights)


def sentence(name: str, unlikeness: Float[np.ndarray, " B"]) -> str | None:
    """What programs say of an image, or of the slices of a file; None where all are usual.

    Args:
      name: the image's name.
      unlikeness: of the image, or of each slice.
    """
    count = int((unlikeness > 1).sum())
    if not count:
        return None
    several = len(unlikeness) > 1
    what = f"{count} of {len(unlikeness)} slices of {name} are" if several else f"{name} is"
    return (
        f"{what} unlike the images that this model was trained on ({'up to ' * several}"
        f"{unlikeness.max():.1f} times as far as {USUAL:.0%} of them): do not trust "
        f"{'their' if several else 'its'} segmentations."
    )


def _distances(
    descriptions: np.ndarray, mean: np.ndarray, whitening: np.ndarray
) -> Float[np.ndarray, " B"]:
    return np.linalg.norm((descriptions - mean) @ whitening, axis=-1)


def _describe(network: Network, params: Any, images: Array) -> Array:
    # The rest of the encoder is not computed: nothing depends on it.
    features = network.encode(params, images)
    first = jax.tree.leaves(features, is_leaf=lambda leaf: isinstance(leaf, Blocked))[0]
    finest = plain(first).astype(jnp.float32)  # the same in every layout
    pixels = tuple(range(1, finest.ndim - 1))
    spread = jnp.log(finest.std(axis=pixels) + _FLOOR)
    return jnp.concatenate([finest.mean(axis=pixels), spread], axis=-1)
