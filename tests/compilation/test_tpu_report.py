"""Reading compiled programs: their communication; and compiling one, where libtpu is installed."""

import importlib.util
import json
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from hpunet_jax.compilation.tpu_report import (
    Collective,
    collectives,
    estimate_seconds,
    topology_devices,
)
from hpunet_jax.training import mesh as meshes

ROOT = pathlib.Path(__file__).parents[2]
SMALL = {
    "data.crop": "(32,32)",
    "model.num_scales": "3",
    "model.base_channels": "4",
    "model.latent_dims": "(1,)",
    "training.batch_size": "16",
    "mesh.space": "2",
}

TPU_PROGRAM = """
  %ag = (f32[2,3]{1,0:T(8,128)}, f32[8,3]{1,0}) all-gather-start(f32[2,3]{1,0} %x), dimensions={0}
  %done = f32[8,3]{1,0} all-gather-done((f32[2,3], f32[8,3]) %ag)
  ROOT %p = bf16[4]{0} collective-permute(bf16[4]{0} %y), metadata={op_name="jit(f)/scale_3"}
  %r = (f32[], s32[2]{0}) all-reduce(f32[] %a, s32[2]{0} %b), to_apply=%add
"""


def test_collectives_are_read_with_kind_bytes_and_name():
    assert list(collectives(TPU_PROGRAM)) == [
        Collective("all-gather", (8, 3), 8 * 3 * 4, ""),
        Collective("collective-permute", (4,), 4 * 2, "jit(f)/scale_3"),
        Collective("all-reduce", (2,), 4 + 2 * 4, ""),
    ]


def test_a_program_compiled_here_shows_what_it_gathers():
    mesh = meshes.build_mesh(4, 1, jax.devices()[:4])
    split, whole = (NamedSharding(mesh, PartitionSpec(axis)) for axis in ("data", None))
    copy = jax.jit(lambda x: x + 1, in_shardings=split, out_shardings=whole)
    program = copy.lower(np.zeros((8, 3), np.float32)).compile().as_text()
    assert [(c.kind, c.bytes) for c in collectives(program)] == [("all-gather", 8 * 3 * 4)]


@pytest.mark.parametrize("topology", ["v9:2x2", "v4"])
def test_an_unknown_topology_is_refused(topology):
    with pytest.raises(ValueError, match="such as v4:4x4x4"):
        topology_devices(topology)


def test_a_steps_time_is_bounded_by_operations_bytes_and_links():
    result = {
        "topology": "v5e:4x4",
        "devices": 16,
        "chips_per_device": 1.0,
        "tflop": 197.0,
        "gib_accessed": 819e9 / 2**30,
        "collectives": {
            "all-reduce": {"count": 1, "mib": 50e9 / 2**20},
            "collective-permute": {"count": 1, "mib": 50e9 / 2**20},
        },
    }
    seconds = estimate_seconds(result, num_devices=2)
    assert seconds["compute"] == pytest.approx(1)
    assert seconds["memory"] == pytest.approx(1)
    assert seconds["communication"] == pytest.approx(2)  # all-reduce: 2 (n - 1) / n = 1
    assert seconds["total"] == pytest.approx(3)
    assert estimate_seconds(result)["communication"] == pytest.approx(1 + 2 * 15 / 16)


@pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None,
    reason="libtpu is not installed (pip install -e .[tpu]): nothing is compiled for TPUs",
)
def test_a_small_network_compiles_for_tpus_and_gathers_no_activations(tmp_path):
    command = [sys.executable, "-m", "experiments.compile_for_tpu", "--config=configs/demo.py"]
    where = ["--topology=v4:2x2x1", f"--output={tmp_path}", "--name=small"]
    fields = [f"--config.{name}={value}" for name, value in SMALL.items()]
    run = subprocess.run([*command, *where, *fields], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    report = json.loads((tmp_path / "small.json").read_text())
    assert report["devices"] == 8
    assert report["fits"]
    assert report["all_gathers"] == []
    assert report["levels_split_by_image"] == [8]
    assert report["collectives"]["collective-permute"]["count"] > 0  # halos
