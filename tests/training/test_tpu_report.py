"""Reading compiled programs: their communication."""

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from hpunet_jax.training import mesh as meshes
from hpunet_jax.training.tpu_report import Collective, collectives, topology_devices

TPU_PROGRAM = """
  %ag = (f32[2,3]{1,0:T(8,128)}, f32[8,3]{1,0}) all-gather-start(f32[2,3]{1,0} %x), dimensions={0}
  %done = f32[8,3]{1,0} all-gather-done((f32[2,3], f32[8,3]) %ag)
  ROOT %p = bf16[4]{0} collective-permute(bf16[4]{0} %y), metadata={op_name="jit(f)/scale_3"}
  %r = (f32[], s32[2]{0}) all-reduce(f32[] %a, s32[2]{0} %b), to_apply=%add
"""


def test_collectives_are_read_with_kind_bytes_and_name():
    assert list(collectives(TPU_PROGRAM)) == [
        Collective("all-gather", 8 * 3 * 4, ""),
        Collective("collective-permute", 4 * 2, "jit(f)/scale_3"),
        Collective("all-reduce", 4 + 2 * 4, ""),
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
