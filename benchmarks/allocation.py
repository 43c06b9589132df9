"""What `hpunet_jax.memory.keep_freed_memory` gains: a training step with and without it.

    python -m benchmarks.allocation

Times the jitted step of configs/demo.py on random examples, each way in a process of its own,
alternately, and prints medians, page faults, and the ratio. It matters on CPUs with glibc only.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

_WAYS = ("kept", "returned")


def measure(keep: bool, steps: int) -> dict[str, float]:
    """Milliseconds and page faults of a training step in this process."""
    from hpunet_jax.memory import keep_freed_memory

    if keep:
        keep_freed_memory()
    import jax
    import numpy as np

    from configs import demo
    from hpunet_jax.training import mesh, set_up

    config = demo.get_config()
    setup = set_up(config)
    state = setup.init_state(jax.random.key(0))
    rng = np.random.default_rng(0)
    shape = (config.training.batch_size, 180, 180)
    examples = {
        "image": rng.integers(0, 256, (*shape, 1), np.uint8),
        "masks": rng.integers(0, 2, (*shape, 4), np.uint8),
    }
    seconds = []
    for i in range(steps + 2):
        if i == 2:  # the first compiles, the second finds its memory
            faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        start = time.perf_counter()
        state, metrics = setup.step(state, mesh.to_devices(setup.mesh, examples))
        jax.block_until_ready(metrics)
        seconds.append(time.perf_counter() - start)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    return {"ms": 1e3 * statistics.median(seconds[2:]), "faults": faults / steps}


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table.

    Args:
      arguments: the command line; None takes that of the process.
    """
    parser = argparse.ArgumentParser(description="Measures what keeping freed memory gains.")
    parser.add_argument("--steps", type=int, default=20, help="steps to time, each time")
    parser.add_argument("--rounds", type=int, default=2, help="processes for each way")
    parser.add_argument("--way", choices=_WAYS, help="only this way, in this process; prints JSON")
    flags = parser.parse_args(arguments)
    if flags.way:
        print(json.dumps(measure(flags.way == "kept", flags.steps)))
        return
    results: dict[str, list[dict[str, float]]] = {way: [] for way in _WAYS}
    for _ in range(flags.rounds):
        for way in _WAYS:
            command = [sys.executable, "-m", "benchmarks.allocation", f"--way={way}"]
            command.append(f"--steps={flags.steps}")
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            results[way].append(json.loads(output.splitlines()[-1]))
    print("| freed memory is | ms per step | page faults per step |\n|---|--:|--:|")
    median = {}
    for way in _WAYS:
        median[way] = statistics.median(result["ms"] for result in results[way])
        faults = statistics.median(result["faults"] for result in results[way])
        print(f"| {way} | {median[way]:.0f} | {faults:,.0f} |")
    print(f"\nratio: {median['returned'] / median['kept']:.2f}")


if __name__ == "__main__":
    main()
