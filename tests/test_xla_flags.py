"""Flags of XLA: ours are added, a user's stay."""

import os
import subprocess
import sys

from hpunet_jax.xla_flags import FLAGS, set_xla_flags


def test_flags_are_added_once_and_those_given_stay():
    environment = {
        "XLA_FLAGS": "--xla_dump_to=/there --xla_cpu_experimental_ynn_fusion_type=",
        "LIBTPU_INIT_ARGS": "--xla_tpu_run_space_to_batch=true",
    }
    set_xla_flags(environment)
    once = dict(environment)
    set_xla_flags(environment)
    assert (
        environment
        == once
        == {
            "XLA_FLAGS": "--xla_dump_to=/there --xla_cpu_experimental_ynn_fusion_type=",
            "LIBTPU_INIT_ARGS": "--xla_tpu_run_space_to_batch=true "
            "--xla_tpu_run_space_to_batch_on_new_platforms=false",
        }
    )
    fresh: dict[str, str] = {}
    set_xla_flags(fresh)
    assert list(fresh) == list(FLAGS)


def test_this_jax_knows_the_flags_and_convolves_on_all_threads_with_them():
    """XLA ends a process for a flag that it does not know."""
    script = """
from hpunet_jax.xla_flags import set_xla_flags
set_xla_flags()
import jax
convolve = lambda x: jax.lax.conv(x, x[:, :, :3, :3], (1, 1), "SAME")
print("ynn" in jax.jit(convolve).lower(jax.numpy.ones((8, 8, 32, 32))).compile().as_text())
"""
    environment = {**os.environ, "XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
