"""A model exported as StableHLO or ONNX: its two functions, run from their bytes, are the model."""

import json
import pathlib
import re
import zipfile

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from jax import export

from hpunet_jax.inference import Model
from hpunet_jax.inference.inputs import as_unit_images
from hpunet_jax.inference.portable import FORMATS, batched, export_model, write_portable
from hpunet_jax.networks import build_network

onnxruntime = pytest.importorskip("onnxruntime")
DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "portable.md"
onnx_graph = pytest.importorskip("hpunet_jax.inference.onnx_graph")


@pytest.fixture(scope="module")
def spunet():
    section = {"name": "spunet", "num_scales": 2, "base_channels": 4, "convs_per_scale": 1}
    network = build_network(section)
    config = ml_collections.ConfigDict({"model": section})
    return Model(network, network.init(jax.random.key(0)), config)


def run_stablehlo(function, inputs):
    arrays = [jnp.asarray(array) for array in inputs.values()]
    function = export.deserialize(bytearray(function))
    assert function.platforms == ("cpu", "cuda", "tpu")
    if "images" in inputs:
        return function.call(*arrays)
    count = sum(name.startswith("features") for name in inputs)
    return [function.call(tuple(arrays[:count]), tuple(arrays[count:]))]


def run_onnx(function, inputs):
    session = onnxruntime.InferenceSession(function, providers=["CPUExecutionProvider"])
    assert [wanted.name for wanted in session.get_inputs()] == list(inputs)
    return session.run(None, {name: np.asarray(array) for name, array in inputs.items()})


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("which", ["hpunet", "spunet"])
def test_the_written_functions_sample_as_the_model_for_any_batch(
    which, format, tiny_sampler, spunet, images, tmp_path
):
    model = tiny_sampler if which == "hpunet" else spunet
    run = run_onnx if format == "onnx" else run_stablehlo
    write_portable(tmp_path / "model.zip", export_model(model, (16, 24), format))
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        encode, decode = (archive.read(f"{name}.{format}") for name in ("encode", "decode"))
        record = json.loads(archive.read("model.json"))
    assert record["weights"] == model.digest()
    assert record["image"] == [16, 24, 1]
    for number in (3, 1):
        expected, latents = model.sample(
            images[:number], 1, probabilities=True, return_latents=True
        )
        priors = model.prior(images[:number], [z[0] for z in latents])
        features = run(encode, {"images": as_unit_images(images[:number])})
        noise = [
            (z[0] - prior.mean) / np.exp(prior.log_std)
            for z, prior in zip(latents, priors, strict=True)
        ]
        inputs = dict(zip(record["features"], features, strict=True))
        inputs |= dict(zip(record["noise"], noise, strict=True))
        for name, array in inputs.items():
            assert [number, *(record["features"] | record["noise"])[name]] == list(array.shape)
        # The noise is the latents', computed back from them with what rounding that brings.
        np.testing.assert_allclose(run(decode, inputs)[0], expected[0], atol=1e-4)


def test_the_operations_of_networks_are_the_same_in_onnx():
    cut = jax.lax.slice_in_dim

    def function(x, y):
        z = jnp.concatenate([jnp.tanh(x), jax.nn.sigmoid(-y)], axis=-1).transpose(0, 2, 1, 3)
        kernel = jnp.arange(3 * 2 * 4 * 2, dtype=jnp.float32).reshape(3, 2, 4, 2) / 50
        z = jax.lax.conv_general_dilated(
            z, kernel, (2, 1), [(1, 0), (0, 1)], dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        corner = cut(cut(cut(x, 0, 1, axis=1), 1, 2, axis=2), 0, 1, axis=3)
        z = jnp.sqrt(jnp.abs(z - z.mean(axis=(1, 2), keepdims=True))) / (1 + jnp.exp(z / 100))
        z = z + jnp.log(jnp.broadcast_to(jnp.maximum(corner, 0.5), z.shape))
        return cut(cut(z, 0, 3, 2, axis=1), 1, 4, axis=2), jax.nn.softmax(
            z.reshape(-1, *z.shape[1:])
        ).max(axis=3)

    shapes = batched((4, 6, 2), (4, 6, 2))
    model = onnx_graph.to_onnx(function, shapes, ["x", "y"], ["a", "b"])
    draw = np.random.default_rng(0)
    x, y = (draw.standard_normal((3, 4, 6, 2)).astype(np.float32) for _ in range(2))
    for got, expected in zip(run_onnx(model, {"x": x, "y": y}), function(x, y), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="operation 'sort' has no rule"):
        onnx_graph.to_onnx(lambda x: (jnp.sort(x),), shapes[:1], ["x"], ["a"])


@pytest.mark.parametrize("format", FORMATS)
def test_the_example_of_the_documents_runs(format, tiny_sampler, tmp_path, monkeypatch):
    examples = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    (example,) = (code for code in examples if f".{format}" in code)
    (name,) = re.findall(r'ZipFile\("(.*?)"\)', example)
    write_portable(tmp_path / name, export_model(tiny_sampler, (16, 24), format))
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(example, names)
    assert names["probabilities"].shape == (1, 16, 24, 3)
    np.testing.assert_allclose(names["probabilities"].sum(axis=-1), 1, rtol=1e-5)


def test_sizes_and_formats_that_make_no_sense_are_refused(tiny_sampler):
    for size, format, message in (
        ((16, 20), "onnx", "multiples of 8"),
        (16, "onnx", "size must be height and width"),
        ((16.0, 24), "stablehlo", "size must be an integer"),
        ((0, 24), "stablehlo", "size must be an integer"),
        ((16, 24), "torch", "format must be stablehlo or onnx, not 'torch'"),
    ):
        with pytest.raises(ValueError, match=message):
            export_model(tiny_sampler, size, format)
