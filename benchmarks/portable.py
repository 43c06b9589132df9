"""An exported model beside the model itself: what it weighs, how far it is off, and how fast it is.

    python -m benchmarks.portable --workdir=pretrained/lidc_phantom --size=64,64

Writes both formats, runs 16 samples of one image (encode once, decode a batch of 16) in turns by
JAX, by the StableHLO, and by onnxruntime, on the cores that the process may use, and prints the
files' sizes, the largest difference of a probability, and the median times.
"""

import argparse
import os
import pathlib
import tempfile
import time
from collections.abc import Callable

import jax
import numpy as np
import onnxruntime
from jax import export

import hpunet_jax
from hpunet_jax.inference.portable import FORMATS, export_model, write_portable

SAMPLES = 16


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", default="pretrained/lidc_phantom", help="run or model file")
    parser.add_argument("--size", default=None, help="height,width; default: as in training")
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    model = hpunet_jax.load(arguments.workdir)
    size = arguments.size.split(",") if arguments.size else model.config.data.crop
    size = tuple(map(int, size))
    draw = np.random.default_rng(0)
    image = draw.random((1, *size, model.network.image_channels), np.float32)
    exported = {format: export_model(model, size, format) for format in FORMATS}
    noise = [
        draw.standard_normal((SAMPLES, *shape)).astype(np.float32)
        for shape in exported["onnx"].record["noise"].values()
    ]
    runs = {
        "JAX": _jax(model),
        "StableHLO": _stablehlo(exported["stablehlo"]),
        "ONNX, onnxruntime": _onnx(exported["onnx"]),
    }
    results = {name: run(image, noise) for name, run in runs.items()}  # compiles
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(arguments.repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run(image, noise)
            times[name].append(time.perf_counter() - start)
    sizes = {"JAX": "", "StableHLO": _size(exported["stablehlo"])}
    sizes["ONNX, onnxruntime"] = _size(exported["onnx"])
    print(f"{arguments.workdir}, {size[0]}x{size[1]}, {SAMPLES} samples of one image\n")
    print("| | file | largest difference | time | of JAX |\n| --- | --: | --: | --: | --: |")
    base = np.median(times["JAX"])
    for name, result in results.items():
        off, took = np.abs(result - results["JAX"]).max(), np.median(times[name])
        cells = [name, sizes[name], f"{off:.1e}", f"{1e3 * took:.1f} ms", f"{took / base:.2f}"]
        print(f"| {' | '.join(cells)} |")


def _jax(model: hpunet_jax.Model) -> Callable[..., np.ndarray]:
    network = model.network

    @jax.jit
    def run(image: jax.Array, noise: list[jax.Array]) -> jax.Array:
        features = jax.tree.map(_repeat, network.encode(model.params, image))
        return jax.nn.softmax(network.sample(model.params, features, None, noise=noise).logits)

    return lambda image, noise: np.asarray(run(image, noise))


def _stablehlo(portable) -> Callable[..., np.ndarray]:
    encode, decode = (
        jax.jit(export.deserialize(bytearray(function)).call)
        for function in (portable.encode, portable.decode)
    )

    def run(image: np.ndarray, noise: list[np.ndarray]) -> np.ndarray:
        features = tuple(_repeat(feature) for feature in encode(image))
        return np.asarray(decode(features, tuple(noise)))

    return run


def _onnx(portable) -> Callable[..., np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    encode, decode = (
        onnxruntime.InferenceSession(function, options, providers=["CPUExecutionProvider"])
        for function in (portable.encode, portable.decode)
    )
    names = [*portable.record["features"], *portable.record["noise"]]

    def run(image: np.ndarray, noise: list[np.ndarray]) -> np.ndarray:
        features = [_repeat(feature) for feature in encode.run(None, {"images": image})]
        return decode.run(None, dict(zip(names, [*features, *noise], strict=True)))[0]

    return run


def _repeat(array):
    return array.repeat(SAMPLES, axis=0)


def _size(portable) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.zip"
        write_portable(path, portable)
        return f"{path.stat().st_size / 1e6:.1f} MB"


if __name__ == "__main__":
    main()
