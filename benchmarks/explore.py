"""How soon the page of experiments.explore follows a hand: requests of a running server.

    python -m benchmarks.explore --checkpoint=pretrained/lidc_phantom --size=64

Opens a generated image, moves one latent at a time as dragging does, and prints the median and the
slowest time from a request to its answer, in milliseconds, beside what the decoder alone takes.
"""

import argparse
import json
import statistics
import threading
import time
import urllib.request
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import uvicorn

import hpunet_jax
from hpunet_jax.app.explorer import Explorer
from hpunet_jax.app.pictures import Picture, Pictures
from hpunet_jax.app.server import build_app


def serve(model: hpunet_jax.Model, size: int) -> tuple[uvicorn.Server, str]:
    """Starts the page on a generated image; returns the server and its address."""
    shape = (size, size, model.network.image_channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    pictures = Pictures(["generated"], lambda *_: Picture("generated", pixels))
    app = build_app(Explorer(model, "benchmark", pictures, None))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    (socket,) = server.servers[0].sockets
    return server, f"http://127.0.0.1:{socket.getsockname()[1]}/api"


def ask(address: str, body: dict[str, Any] | None = None) -> Any:
    """The answer to a request."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def measure(model: hpunet_jax.Model, size: int, moves: int) -> dict[str, float]:
    """Milliseconds of the requests and of the decoder."""
    server, address = serve(model, size)
    scales = ask(f"{address}/images/0")["scales"]
    noise = [np.zeros(int(np.prod(scale))) for scale in scales]
    rng = np.random.default_rng(0)
    seconds = []
    for move in range(moves + 1):
        scale = int(rng.integers(len(noise)))
        noise[scale][rng.integers(noise[scale].size)] = rng.normal()
        body = {"image": 0, "slice": 0, "noise": [values.tolist() for values in noise]}
        start = time.perf_counter()
        ask(f"{address}/decode", body)
        if move:  # the first compiles
            seconds.append(time.perf_counter() - start)
    server.should_exit = True
    case = model.open(np.zeros((size, size, model.network.image_channels), np.uint8))
    latents = [values.reshape(shape) for values, shape in zip(noise, scales, strict=True)]
    decoder = []
    for _ in range(moves):
        start = time.perf_counter()
        case.decode(noise=latents)
        decoder.append(time.perf_counter() - start)
    return {
        "median": 1e3 * statistics.median(seconds),
        "slowest": 1e3 * max(seconds),
        "decoder": 1e3 * statistics.median(decoder),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table.

    Args:
      arguments: the command line; None takes that of the process.
    """
    parser = argparse.ArgumentParser(description="Measures how soon the page follows a hand.")
    parser.add_argument("--checkpoint", default="pretrained/lidc_phantom", help="the model")
    parser.add_argument("--size", type=int, default=64, help="height and width of the image")
    parser.add_argument("--moves", type=int, default=50, help="latents to move")
    flags = parser.parse_args(arguments)
    ms = measure(hpunet_jax.load(flags.checkpoint), flags.size, flags.moves)
    print(f"{flags.checkpoint}, {flags.size}x{flags.size}, {jax.devices()[0].device_kind}")
    print("| request, median ms | slowest ms | decoder alone, median ms |\n|--:|--:|--:|")
    print(f"| {ms['median']:.0f} | {ms['slowest']:.0f} | {ms['decoder']:.0f} |")


if __name__ == "__main__":
    main()
