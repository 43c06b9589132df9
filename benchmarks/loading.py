"""What loading and using the same model again costs: memory, and programs that are compiled.

    python -m benchmarks.loading

Loads the shipped model several times in one process and samples with each, for several numbers of
samples. Prints the process's resident memory and what was compiled, load by load.
"""

import argparse
import gc

import jax
import numpy as np

import hpunet_jax


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loads", type=int, default=5, help="how often to load the model")
    loads = parser.parse_args().loads
    compiled: list[str] = []

    def listen(event: str, duration: float, **details: object) -> None:
        del duration, details
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    image = np.zeros((64, 64, 1), np.uint8)
    print("| load | resident memory (MiB) | programs compiled |\n| ---: | ---: | ---: |")
    for load in range(1, loads + 1):
        compiled.clear()
        model = hpunet_jax.load("pretrained/lidc_phantom")
        for num_samples in (1, 4, 5, 16):
            model.sample(image, num_samples)
        del model
        gc.collect()
        print(f"| {load} | {_resident() / 2**20:.0f} | {len(compiled)} |", flush=True)


def _resident() -> int:
    """Bytes of resident memory (Linux)."""
    with open("/proc/self/status") as status:
        (line,) = (line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
