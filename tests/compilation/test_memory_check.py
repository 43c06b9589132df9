"""Whether a step fits the memory: a bound before it is compiled, XLA's count afterwards."""

import jax
import numpy as np
import pytest

from hpunet_jax import memory
from hpunet_jax.compilation import memory_check
from hpunet_jax.compilation.memory_check import bytes_of, check_fits, least_bytes

_LAYERS, _IMAGES = 6, (2, 32, 32, 8)


def _loss(kernels, images):
    for kernel in kernels:
        images = jax.lax.conv_general_dilated(
            images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        images = jax.nn.relu(images)
    return images.sum()


def _traced(loss):
    kernels = [np.full((3, 3, 8, 8), 0.1, np.float32)] * _LAYERS
    return jax.jit(jax.value_and_grad(loss)).trace(kernels, np.ones(_IMAGES, np.float32))


def test_the_bound_counts_what_the_backward_pass_needs():
    of_a_layer = 4 * np.prod(_IMAGES)
    of_a_kernel = 4 * 3 * 3 * 8 * 8
    traced = _traced(_loss)
    # forward: 6 results; backward: those of 5 inputs and of 6 kernels
    assert least_bytes(traced) == (11 * of_a_layer + 6 * of_a_kernel) // 2
    assert least_bytes(traced) <= bytes_of(traced.lower().compile())


def test_a_loops_body_counts_once_and_recomputed_parts_not_at_all():
    def in_turns(kernels, images):
        return jax.lax.map(lambda part: _loss(kernels, part[None]), images).sum()

    assert 0 < least_bytes(_traced(in_turns)) < least_bytes(_traced(_loss))
    assert least_bytes(_traced(jax.checkpoint(_loss))) == 0


def test_a_step_beyond_the_memory_is_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr(memory_check, "device_memory", lambda: 4 << 30)
    mesh = jax.make_mesh((1,), ("data",), devices=jax.devices()[:1])
    check_fits(4 << 30, mesh, batch_size=32)
    with pytest.raises(ValueError, match=r"of 32 images needs 5 GiB .* this machine has 4 GiB"):
        check_fits(5 << 30, mesh, batch_size=32)


@pytest.mark.skipif(jax.device_count() < 2, reason="needs two devices of a CPU")
def test_devices_of_a_cpu_share_its_memory(monkeypatch):
    monkeypatch.setattr(memory_check, "device_memory", lambda: 4 << 30)
    mesh = jax.make_mesh((2,), ("data",), devices=jax.devices()[:2])
    with pytest.raises(ValueError, match="needs 6 GiB"):
        check_fits(3 << 30, mesh, batch_size=32)


def test_a_containers_limit_is_the_memory_there_is(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_CONTAINER_LIMITS", (limit, tmp_path / "missing"))
    without = memory.device_memory()
    limit.write_text("max\n")
    assert memory.device_memory() == without
    limit.write_text(f"{1 << 30}\n")
    assert memory.device_memory() == 1 << 30
