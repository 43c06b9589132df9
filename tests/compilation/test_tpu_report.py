"""Reading compiled programs: their communication; and compiling one, where libtpu is installed."""

import importlib.util
import json
import pathlib
import subprocess
import sys
from unittest import mock

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from hpunet_jax.compilation import chips
from hpunet_jax.compilation.program import parse
from hpunet_jax.compilation.tpu_report import (
    Collective,
    collectives,
    compile_step,
    estimate_seconds,
)
from hpunet_jax.training import Setup
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
ENTRY %main (x: f32[2,3]) -> bf16[4] {
  %ag = (f32[2,3]{1,0:T(8,128)}, f32[8,3]{1,0}) all-gather-start(f32[2,3]{1,0} %x), dimensions={0}
  %done = f32[8,3]{1,0} all-gather-done((f32[2,3], f32[8,3]) %ag)
  ROOT %p = bf16[4]{0} collective-permute(bf16[4]{0} %y), metadata={op_name="jit(f)/scale_3"}
  %r = (f32[], s32[2]{0}) all-reduce(f32[] %a, s32[2]{0} %b), to_apply=%add
}
"""


def test_collectives_are_read_with_kind_bytes_and_name():
    assert list(collectives(parse(TPU_PROGRAM))) == [
        Collective("all-gather", (8, 3), 8 * 3 * 4, 1, ""),
        Collective("collective-permute", (4,), 4 * 2, 1, "jit(f)/scale_3"),
        Collective("all-reduce", (2,), 4 + 2 * 4, 1, ""),
    ]


def test_a_program_compiled_here_shows_what_it_gathers():
    mesh = meshes.build_mesh(4, 1, jax.devices()[:4])
    split, whole = (NamedSharding(mesh, PartitionSpec(axis)) for axis in ("data", None))
    copy = jax.jit(lambda x: x + 1, in_shardings=split, out_shardings=whole)
    program = copy.lower(np.zeros((8, 3), np.float32)).compile().as_text()
    assert [(c.kind, c.bytes) for c in collectives(parse(program))] == [("all-gather", 8 * 3 * 4)]


@pytest.mark.parametrize("topology", ["v9:2x2", "v4"])
def test_an_unknown_topology_is_refused(topology):
    with pytest.raises(ValueError, match="such as v4:4x4x4"):
        chips.topology_devices(topology)


def test_libtpus_errors_are_told_apart():
    lock = 'ABORTED: Internal error when accessing libtpu multi-process lockfile. Run "$ sudo rm'
    assert "another process uses libtpu" in chips._reason("v4:2x2x1", lock)
    unknown = 'INVALID_ARGUMENT: Topology layout "v6e:3x5" is not divisible by "2x2x1"'
    assert "libtpu does not know this topology" in chips._reason("v6e:3x5", unknown)
    assert "pip install -e .[tpu]" in chips._reason("v4:2x2x1", "UNIMPLEMENTED: no platform tpu")


def test_a_step_that_no_device_holds_is_refused_in_a_sentence():
    class Step:
        def lower(self, *_):
            return self

        def compile(self):
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Ran out of memory in hbm.")

    mesh = meshes.build_mesh(2, 1, jax.devices()[:2])
    state = {"w": jax.ShapeDtypeStruct((2**28,), np.float32)}
    setup = mock.Mock(spec=Setup, mesh=mesh, step=Step(), state_shapes=lambda: state)
    with pytest.raises(ValueError, match="8 images on 2 devices does not fit the memory"):
        compile_step(setup, 8, {})
    # What is known before is said before: 1 GiB of parameters, and half of 2 GiB of images.
    images = {"image": jax.ShapeDtypeStruct((2**14, 2**14), np.uint8)}
    with pytest.raises(ValueError, match=r"take 2\.0 GiB of each, which has 1\.9"):
        compile_step(setup, 8, images, hbm_gib=1.9)


def test_a_steps_time_is_bounded_by_passes_bytes_cycles_and_links():
    result = {
        "topology": "v5e:4x4",
        "devices": 16,
        "chips_per_device": 1.0,
        "matrix_tflop": 197.0,
        "gib_moved": 819e9 / 2**30,
        "megacycles": 3 * 1500.0,
        "collectives": {
            "all-reduce": {"count": 1, "mib": 50e9 / 2**20},
            "collective-permute": {"count": 1, "mib": 50e9 / 2**20},
        },
    }
    seconds = estimate_seconds(result, num_devices=2)
    assert seconds["matrix"] == pytest.approx(1)
    assert seconds["memory"] == pytest.approx(1)
    assert seconds["compiler"] == pytest.approx(3)
    assert seconds["communication"] == pytest.approx(2)  # all-reduce: 2 (n - 1) / n = 1
    assert seconds["total"] == pytest.approx(5)
    assert estimate_seconds(result)["communication"] == pytest.approx(1 + 2 * 15 / 16)


needs_libtpu = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None,
    reason="libtpu is not installed (pip install -e .[tpu]): nothing is compiled for TPUs",
)


@needs_libtpu
def test_each_chip_is_one_device_and_odd_topologies_are_refused():
    """As programs on TPUs get them: the two cores of v4 and v5p work as one."""
    for topology, count in (("v4:2x2x1", 4), ("v5e:2x4", 8), ("v5p:2x2x1", 4), ("v6e:2x2", 4)):
        assert len(chips.topology_devices(topology)) == count
    with pytest.raises(ValueError, match="libtpu does not know this topology"):
        chips.topology_devices("v6e:3x5")


@needs_libtpu
def test_a_small_network_compiles_for_tpus_and_gathers_no_activations(tmp_path):
    command = [sys.executable, "-m", "experiments.compile_for_tpu", "--config=configs/demo.py"]
    where = ["--topology=v4:2x2x1", f"--output={tmp_path}", "--name=small"]
    fields = [f"--config.{name}={value}" for name, value in SMALL.items()]
    run = subprocess.run([*command, *where, *fields], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    report = json.loads((tmp_path / "small.json").read_text())
    assert report["devices"] == 4
    assert report["fits"]
    assert report["all_gathers"] == []
    assert report["levels_split_by_image"] == [8]
    assert report["collectives"]["collective-permute"]["count"] > 0  # halos
    # The top-k's, one for each four bits, and the gradients'.
    assert 8 < report["collectives"]["all-reduce"]["count"] < 32
    assert 0 < report["gib_moved"] < report["gib_everywhere"] < report["xla_gib_accessed"]
    assert report["tflop"] < report["matrix_tflop"]
    for groups in (report["by_level"], report["by_kind"]):
        for field in ("operations", "gib_moved", "megacycles", "matrix_tflop"):
            assert sum(group[field] for group in groups.values()) == pytest.approx(report[field])
    assert {"0", "1", "2", "outside the network"} <= set(report["by_level"])
