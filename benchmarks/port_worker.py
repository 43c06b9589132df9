"""The steps of the plain PyTorch port, one after the other as asked: a peer of `benchmarks.step`.

Runs in an environment of its own that has torch, without this package: `benchmarks.step` starts it
with the interpreter and the port that its user names. Reads numbers of steps on standard input, and
answers each with their seconds and the peak memory as JSON.
"""

import argparse
import importlib.util
import json
import sys
import time


def main() -> None:
    """Serves until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port")
    parser.add_argument("--network", type=json.loads, default={}, help="arguments of its HPUNet")
    parser.add_argument("--work", choices=("step", "sample", "samples"), default="step")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--size", type=int, nargs=2, default=(128, 128))
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--top_k", type=float, default=0.02)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--compiled", action="store_true", help="by torch.compile")
    flags = parser.parse_args()
    run = build(flags)
    import torch

    def wait():
        if flags.device != "cpu":
            torch.cuda.synchronize()

    run()
    wait()
    print(json.dumps({"ready": torch.__version__}), flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            start = time.perf_counter()
            run()
            wait()
            seconds.append(time.perf_counter() - start)
        peak = torch.cuda.max_memory_allocated() if flags.device != "cpu" else 0
        print(json.dumps({"seconds": seconds, "peak_bytes": peak}), flush=True)


def build(flags: argparse.Namespace):
    """The work as a function without arguments: a training step, or samples."""
    import torch

    spec = importlib.util.spec_from_file_location("port", flags.port)
    port = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(port)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    net = port.HPUNet(**flags.network).to(flags.device, memory_format=torch.channels_last)
    channels, classes = flags.network.get("image_channels", 1), net.num_classes
    shape = (flags.batch_size, channels, *flags.size)
    image = torch.rand(shape, device=flags.device).to(memory_format=torch.channels_last)
    label = torch.randint(0, classes, (flags.batch_size, *flags.size), device=flags.device)
    device = torch.device(flags.device).type
    mixed = torch.autocast(device, torch.bfloat16, enabled=flags.dtype == "bfloat16")
    if flags.work == "step":
        geco = port.Geco().to(flags.device)
        step = port.trainer(net, geco, top_k=flags.top_k, compiled=flags.compiled)

        def work():
            with mixed:
                step(image, label)

        return work
    number = flags.samples if flags.work == "samples" else 1
    sample = torch.compile(net.sample) if flags.compiled else net.sample

    def draw():
        with torch.no_grad(), mixed:
            sample(image, number)

    return draw


if __name__ == "__main__":
    main()
