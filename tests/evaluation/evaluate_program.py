"""Runs experiments.evaluate several times in one process; test_results.py starts it.

    python -m tests.evaluation.evaluate_program <folder>

Prints a JSON object with what each run did.
"""

import json
import pathlib
import shutil
import sys

import jax
import numpy as np
from PIL import Image

from configs import demo
from experiments import evaluate
from hpunet_jax.checkpoints import Checkpoints, write_model
from hpunet_jax.networks import build_network

folder = pathlib.Path(sys.argv[1])
data, workdir = folder / "data", folder / "run"


def write_data(part: str, count: int, radius: float) -> None:
    y, x = np.mgrid[:20, :20] - 9.5
    dark = ("train", "val", "test").index(part)  # no image is in two parts
    for number in range(count):
        for kind, pixels in {
            f"images/{number}.png": 10 * number + dark + np.uint8(200) * (np.hypot(y, x) < radius),
            f"gt/{number}_l0.png": np.hypot(y, x) < radius,
            f"gt/{number}_l1.png": np.hypot(y, x) < radius - 1,
        }.items():
            path = data / part / kind
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(path)


def run(*flags: str, cached: bool = False) -> dict:
    """One run of the program: its error, or the files that it wrote or found."""
    before = {path.name for path in folder.rglob("evaluation_*")}
    calls = []

    def counted(*args, **kwargs):
        calls.append(1)
        return protocol(*args, **kwargs)

    protocol, evaluate.evaluate = evaluate.evaluate, counted
    flags_of = evaluate.flags.FLAGS
    flags_of.unparse_flags()
    for name in (
        *("workdir", "split", "limit", "out", "step", "num_samples", "data_dir"),
        "config.data.name",
    ):
        flags_of[name].unparse()
    flags_of(["evaluate", *flags])
    try:
        evaluate.main([])
        error = None
    except (ValueError, OSError) as problem:
        error = str(problem)
    evaluate.evaluate = protocol
    new = sorted({path.name for path in folder.rglob("evaluation_*")} - before)
    return {"error": error, "new": new, "computed": len(calls)}


def main() -> None:
    for part, count in (("train", 3), ("val", 3), ("test", 4)):
        write_data(part, count, radius=5)
    config = demo.get_config().unlock()
    config.data.name, config.data.dir, config.data.crop = "own_data", str(data), (16, 16)
    config.model.update({"num_scales": 3, "base_channels": 2, "max_channels": 2})
    config.model.update({"latent_dims": (1,), "convs_per_block": 1})
    config.training.steps, config.evaluation.num_samples = 1, 2
    config.evaluation.batch_size, config.evaluation.bootstraps = 2, 10
    network = build_network(config.model)
    params = network.init(jax.random.key(0))
    with Checkpoints(workdir) as checkpoints:
        checkpoints.save(1, params, {"step": 1}, config)
    write_model(folder / "model.npz", params, config)

    own, file = f"--workdir={workdir}", f"--workdir={folder / 'model.npz'}"
    results = {"first": run(own), "again": run(own), "limit": run(own, "--limit=1")}
    results["validation"] = run(own, "--split=validation")
    results["numbers"] = run(own, "--num_samples=3,1,3")
    results["wrong number"] = run(own, "--num_samples=16,many")
    results["no place"] = run(file)
    config.data.name, config.data.dir = "lidc_phantom", str(folder / "nowhere")
    write_model(folder / "phantom.npz", params, config)
    phantom = f"--checkpoint={folder / 'phantom.npz'}", f"--out={folder / 'on_own'}"
    results["on own data"] = run(*phantom, "--config.data.name=own_data", f"--data_dir={data}")
    results["on no data"] = run(*phantom, "--config.data.name=own_dat")
    results["shadow"] = run(file, f"--out={folder / 'model.npz'}")
    results["file"] = run(file, f"--out={folder / 'out'}")
    write_data("test", 4, radius=6)
    results["other data"] = run(own)
    results["tables"] = {
        path.stem: json.loads(path.read_text())["counts"]
        for path in sorted(workdir.glob("evaluation_*.json"))
    }
    shutil.rmtree(data / ".tfds")
    write_data("test", 4, radius=6)  # the same files at another time, as in a copy
    results["built again"] = run(own)
    for record in data.rglob("*-test.*record*"):
        record.unlink()
    results["incomplete"] = run(own)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
