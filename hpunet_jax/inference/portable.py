"""A model that runs without this package: StableHLO with the weights inside, by `jax.export`.

Two functions, with the latents' noise as an input, so that the same file serves sampling (standard
normal noise), prior means (0), single scales (0 elsewhere), and moving latents:

    encode  (images [b, H, W, channels]) -> features
    decode  (features, noise of each latent scale [b, h, w, d]) -> probabilities [b, H, W, C]

The batch b may be any; height and width are fixed.
"""

import pathlib
import zipfile
from typing import Any, NamedTuple, no_type_check

import jax
import jax.numpy as jnp
from jax import export

from hpunet_jax.arguments import check_integer, shown
from hpunet_jax.files import write_aside
from hpunet_jax.inference.model import Model
from hpunet_jax.inference.programs import latent_shapes
from hpunet_jax.networks import check_image_shape

PLATFORMS = ("cpu", "cuda", "tpu")
FUNCTIONS = ("encode", "decode")


class Portable(NamedTuple):
    """The two functions, as `jax.export.Exported`.

    Attributes:
      encode: images -> a tuple of features.
      decode: (that tuple, a tuple of the noise of each scale, coarse to fine) -> probabilities.
    """

    encode: export.Exported
    decode: export.Exported


@no_type_check  # arguments are checked here, see hpunet_jax/arguments.py
def export_stablehlo(model: Model, size: tuple[int, int]) -> Portable:
    """Exports a model for images of one size.

    Args:
      model: the model; not one that extrapolates.
      size: height and width of the images.

    Returns:
      The two functions, for CPUs, CUDA and TPUs; `.serialize()` of each gives its bytes.

    Raises:
      ValueError: for a size that the network does not take, or a model that extrapolates.
    """
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise ValueError(f"size must be height and width of the images, not {shown(size)}.")
    if model.extrapolates:
        raise ValueError(
            "this model was trained to extrapolate (data.extrapolation), which is not exported."
        )
    height, width = (check_integer("size", length, 1) for length in size)
    network, params = model.network, jax.device_get(model.params)
    shape = (height, width, network.image_channels)
    check_image_shape(network, shape)
    (batch,) = export.symbolic_shape("b")
    images = jax.ShapeDtypeStruct((batch, *shape), jnp.float32)
    noise = tuple(
        jax.ShapeDtypeStruct((batch, *latent), jnp.float32)
        for latent in latent_shapes(network, shape)
    )
    features = jax.eval_shape(lambda image: network.encode(params, image), images)
    structure = jax.tree.structure(features)

    def encode(images: Any) -> tuple[jax.Array, ...]:
        return tuple(jax.tree.leaves(network.encode(params, images)))

    def decode(features: tuple[jax.Array, ...], noise: tuple[jax.Array, ...]) -> jax.Array:
        features = jax.tree.unflatten(structure, features)
        return jax.nn.softmax(network.sample(params, features, None, noise=noise).logits)

    leaves = tuple(jax.tree.leaves(features))
    return Portable(
        export.export(jax.jit(encode), platforms=PLATFORMS)(images),
        export.export(jax.jit(decode), platforms=PLATFORMS)(leaves, noise),
    )


def write_stablehlo(path: str | pathlib.Path, portable: Portable) -> None:
    """Writes both functions into one ZIP file, as encode.stablehlo and decode.stablehlo."""
    with write_aside(path) as aside, zipfile.ZipFile(aside, "w") as archive:
        for name, function in zip(FUNCTIONS, portable, strict=True):
            archive.writestr(f"{name}.stablehlo", bytes(function.serialize()))
