"""A model that runs without this package: as StableHLO, or as ONNX, with the weights inside.

Two functions, with the latents' noise as an input, so that the same file serves sampling (standard
normal noise), prior means (0), single scales (0 elsewhere), and moving latents:

    encode  (images [b, H, W, channels]) -> features
    decode  (features, noise of each latent scale [b, h, w, d]) -> probabilities [b, H, W, C]

All float32; images in [0, 1]. The batch b may be any; height and width are fixed. Both formats are
written as one ZIP file with both functions and `model.json`, which names their inputs and shapes.
"""

import json
import os
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, no_type_check

import jax
import jax.numpy as jnp
from jax import export

from hpunet_jax.arguments import check_integer, shown
from hpunet_jax.config import to_json
from hpunet_jax.files import write_aside
from hpunet_jax.inference.model import Model
from hpunet_jax.inference.programs import latent_shapes
from hpunet_jax.networks import build_network, check_image_shape

PLATFORMS = ("cpu", "cuda", "tpu")
FORMATS = ("stablehlo", "onnx")
FUNCTIONS = ("encode", "decode")


class Portable(NamedTuple):
    """Both functions in one format, as bytes, and what they were made from.

    Attributes:
      format: one of `FORMATS`.
      encode: images -> features.
      decode: features and the noise of each scale, coarse to fine -> probabilities.
      record: what `model.json` says: size, names and shapes of inputs, config, the weights' digest.
    """

    format: str
    encode: bytes
    decode: bytes
    record: Mapping[str, Any]


@no_type_check  # arguments are checked here, see hpunet_jax/arguments.py
def export_model(model: Model, size: tuple[int, int], format: str) -> Portable:
    """Exports a model for images of one size.

    Args:
      model: the model; not one that extrapolates.
      size: height and width of the images.
      format: "stablehlo" (for JAX on CPUs, CUDA and TPUs, by `jax.export`) or "onnx" (needs the
        package onnx: `pip install '.[onnx]'` in a clone).

    Returns:
      The two functions. A network in bfloat16 is exported in float32, with the same weights.

    Raises:
      ValueError: for a size that the network does not take, a model that extrapolates, an unknown
        format, or onnx where the package is missing.
    """
    if format not in FORMATS:
        raise ValueError(f"the format must be {' or '.join(FORMATS)}, not {shown(format)}.")
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise ValueError(f"size must be height and width of the images, not {shown(size)}.")
    if model.extrapolates:
        raise ValueError(
            "this model was trained to extrapolate (data.extrapolation), which is not exported."
        )
    height, width = (check_integer("size", length, 1) for length in size)
    shape = (height, width, model.network.image_channels)
    check_image_shape(model.network, shape)
    functions = _functions(model, shape)
    encode, decode = (_stablehlo if format == "stablehlo" else _onnx)(functions)
    record = {
        "format": f"hpunet_jax exported model 1, {format}",
        "image": list(shape),
        "num_classes": model.num_classes,
        "features": {name: list(s) for name, s in functions.features.items()},
        "noise": {name: list(s) for name, s in functions.noise.items()},
        "weights": model.digest(),
        "config": json.loads(to_json(model.config)),
    }
    return Portable(format, encode, decode, record)


def write_portable(path: str | os.PathLike[str], portable: Portable) -> None:
    """Writes a ZIP file: encode.<format>, decode.<format>, and model.json."""
    with write_aside(path) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, function in zip(FUNCTIONS, (portable.encode, portable.decode), strict=True):
            archive.writestr(f"{name}.{portable.format}", function)
        archive.writestr("model.json", json.dumps(portable.record, indent=1))


def batched(*shapes: tuple[int, ...]) -> tuple[jax.ShapeDtypeStruct, ...]:
    """float32 arguments [b, *shape] of one symbolic batch b, to trace a function with."""
    (b,) = export.symbolic_shape("b")
    return tuple(jax.ShapeDtypeStruct((b, *shape), jnp.float32) for shape in shapes)


class _Functions(NamedTuple):
    """The two functions of plain arrays, and the shape of one image's inputs by their names."""

    encode: Callable[[jax.Array], tuple[jax.Array, ...]]
    decode: Callable[[tuple[jax.Array, ...], tuple[jax.Array, ...]], jax.Array]
    image: tuple[int, ...]
    features: dict[str, tuple[int, ...]]
    noise: dict[str, tuple[int, ...]]


def _functions(model: Model, shape: tuple[int, int, int]) -> _Functions:
    network = build_network({**model.config.model, "dtype": "float32"})
    params = jax.device_get(model.params)
    images = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    features = jax.eval_shape(lambda image: network.encode(params, image), images)
    leaves, structure = jax.tree.flatten(features)

    def encode(images: jax.Array) -> tuple[jax.Array, ...]:
        return tuple(jax.tree.leaves(network.encode(params, images)))

    def decode(features: tuple[jax.Array, ...], noise: tuple[jax.Array, ...]) -> jax.Array:
        features = jax.tree.unflatten(structure, features)
        return jax.nn.softmax(network.sample(params, features, None, noise=noise).logits)

    noise = latent_shapes(network, shape)
    return _Functions(
        encode,
        decode,
        shape,
        {f"features_{i}": leaf.shape[1:] for i, leaf in enumerate(leaves)},
        {f"noise_{i}": latent for i, latent in enumerate(noise)},
    )


def _stablehlo(functions: _Functions) -> tuple[bytes, bytes]:
    shapes = functions.image, *functions.features.values(), *functions.noise.values()
    images, *inputs = batched(*shapes)
    count = len(functions.features)
    features, noise = tuple(inputs[:count]), tuple(inputs[count:])
    encode = export.export(jax.jit(functions.encode), platforms=PLATFORMS)(images)
    decode = export.export(jax.jit(functions.decode), platforms=PLATFORMS)(features, noise)
    return bytes(encode.serialize()), bytes(decode.serialize())


def _onnx(functions: _Functions) -> tuple[bytes, bytes]:
    try:
        from hpunet_jax.inference.onnx_graph import to_onnx
    except ImportError as error:
        raise ValueError(
            "to export ONNX the package onnx is needed: pip install '.[onnx]' in a clone."
        ) from error
    features, noise = list(functions.features), list(functions.noise)

    def decode(*inputs: jax.Array) -> tuple[jax.Array]:
        return (functions.decode(inputs[: len(features)], inputs[len(features) :]),)

    shapes = [*functions.features.values(), *functions.noise.values()]
    return (
        to_onnx(functions.encode, batched(functions.image), ["images"], features),
        to_onnx(decode, batched(*shapes), [*features, *noise], ["probabilities"]),
    )
