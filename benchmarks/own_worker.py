"""Our steps, one after the other as asked: the other side of `benchmarks.port_worker`.

Reads numbers of steps on standard input, and answers each with their seconds and the peak memory as
JSON. Needs neither data nor TensorFlow: examples are random.
"""

import argparse
import importlib
import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from hpunet_jax.memory import keep_freed_memory, peak_memory
from hpunet_jax.xla_flags import set_xla_flags

WORK = ("step", "sample", "samples", "passes")  # passes: each sample by itself, image and all


def main() -> None:
    """Serves until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="such as demo")
    parser.add_argument("--model", type=json.loads, default={}, help="fields to change")
    parser.add_argument("--work", choices=WORK, default="step")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--size", type=int, nargs=2, default=None, help="of the crop")
    parser.add_argument("--no_flags", action="store_true", help="XLA's own defaults")
    parser.add_argument("--return_memory", action="store_true", help="the C library's defaults")
    parser.add_argument("--cache", help="folder of compiled programs")
    flags = parser.parse_args()
    if not flags.return_memory:
        keep_freed_memory()
    if not flags.no_flags:
        set_xla_flags()
    import jax

    if flags.cache:
        jax.config.update("jax_compilation_cache_dir", flags.cache)
    work, compiled = build(flags)
    start = time.perf_counter()
    jax.block_until_ready(work())
    first = time.perf_counter() - start
    memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
    floor = {
        "device": jax.devices()[0].device_kind,
        "first_seconds": first,
        "temporary_bytes": memory.temp_size_in_bytes if memory else 0,
        "gflop": cost.get("flops", 0) / 1e9,
        "gib": cost.get("bytes accessed", 0) / 2**30,
    }
    print(json.dumps({"ready": jax.__version__, **floor}), flush=True)
    for line in sys.stdin:
        seconds, before = [], resource.getrusage(resource.RUSAGE_SELF)
        for _ in range(int(line)):
            start = time.perf_counter()
            jax.block_until_ready(work())
            seconds.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_SELF)
        answer = {
            "seconds": seconds,
            "peak_bytes": peak_memory(),
            "page_faults": after.ru_minflt - before.ru_minflt,
            "waits": after.ru_nvcsw - before.ru_nvcsw,
        }
        print(json.dumps(answer), flush=True)


def build(flags: argparse.Namespace) -> tuple[Callable[[], Any], Any]:
    """The work as a function without arguments, and its compiled program."""
    import jax

    from hpunet_jax.training import mesh, set_up

    config = importlib.import_module(f"configs.{flags.config}").get_config().unlock()
    config.training.batch_size = flags.batch_size
    config.model.update(flags.model)
    if flags.size:
        config.data.crop = tuple(flags.size)
    setup = set_up(config, jax.devices()[:1])
    state = setup.init_state(jax.random.key(0))
    if flags.work == "step":
        examples = mesh.to_devices(setup.mesh, random_examples(config))
        compiled = setup.step.lower(state, examples).compile()

        def step():
            nonlocal state
            state, metrics = compiled(state, examples)
            return metrics

        return step, compiled
    network, number = setup.network, flags.samples if flags.work == "samples" else 1
    shape = (flags.batch_size, *config.data.crop, config.model.image_channels)
    images = jax.random.uniform(jax.random.key(1), shape)

    @jax.jit
    def draw(params, images, key):
        features = network.encode(params, images)

        def one(key):
            keys = jax.random.split(key, len(images))
            return network.sample(params, features, keys).logits.argmax(axis=-1)

        return jax.lax.map(one, jax.random.split(key, number))

    arguments = state.params.network, images, jax.random.key(2)
    compiled = draw.lower(*arguments).compile()
    times = flags.samples if flags.work == "passes" else 1
    return lambda: [compiled(*arguments) for _ in range(times)], compiled


def random_examples(config: Any) -> Mapping[str, Any]:
    """A batch of examples as the config's data set has them, of noise."""
    import numpy as np

    rng = np.random.default_rng(0)
    model, crop = config.model, tuple(config.data.crop)
    source = (180, 180) if config.data.name.startswith("lidc") else crop
    shape = (config.training.batch_size, *source)
    image = rng.integers(0, 256, (*shape, model.image_channels), np.uint8)
    if not config.data.get("num_ids", None):
        return {"image": image, "masks": rng.integers(0, 2, (*shape, 4), np.uint8)}
    if config.data.num_ids + 1 == model.num_classes:
        return {"image": image, "instances": rng.integers(0, 50, shape, np.uint16)}
    cars = rng.integers(0, 9, shape, np.uint16)
    return {"image": image, "semantic": rng.integers(0, 19, shape, np.uint8), "cars": cars}


if __name__ == "__main__":
    main()
