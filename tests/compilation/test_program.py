"""Reading compiled programs: schedules, loops, padded arrays, and what operations cost."""

import jax
import jax.numpy as jnp
import numpy as np

from hpunet_jax.compilation.cost import costs
from hpunet_jax.compilation.program import arrays, parse

# Written after a program that libtpu compiled: a loop of 3 turns, a fused convolution, copies.
PROGRAM = """HloModule jit_step, is_scheduled=true

%fused (p0: f32[8,16,16,12], p1: f32[3,3,12,24]) -> f32[8,16,16,24] {
  %p0 = f32[8,16,16,12]{3,0,2,1:T(8,128)} parameter(0)
  %p1 = f32[3,3,12,24]{3,2,1,0:T(8,128)S(1)} parameter(1)
  ROOT %c = f32[8,16,16,24]{3,0,2,1:T(8,128)} convolution(%p0, %p1), window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_01io->b01f, metadata={op_name="jit(step)/jvp(prior)/scale_3/block_0/conv_0/conv_general_dilated"}
}

%condition (s: (s32[], f32[128])) -> pred[] {
  %three = s32[]{:T(128)} constant(3)
  %s = (s32[]{:T(128)}, f32[128]{0:T(128)}) parameter(0)
  %i = s32[]{:T(128)} get-tuple-element(%s), index=0
  ROOT %lt = pred[]{:T(512)} compare(%i, %three), direction=LT
}

%body (t: (s32[], f32[128])) -> (s32[], f32[128]) {
  %t = (s32[]{:T(128)}, f32[128]{0:T(128)}) parameter(0)
  %j = s32[]{:T(128)} get-tuple-element(%t), index=0
  %x = f32[128]{0:T(128)} get-tuple-element(%t), index=1
  %sum = f32[128]{0:T(128)} all-reduce(%x), to_apply=%add
  ROOT %next = (s32[]{:T(128)}, f32[128]{0:T(128)}) tuple(%j, %sum)
}

ENTRY %main (a: f32[8,16,16,12], w: f32[3,3,12,24]) -> f32[8,16,16,24] {
  %a = f32[8,16,16,12]{3,0,2,1:T(8,128)} parameter(0)
  %w = f32[3,3,12,24]{3,2,1,0:T(8,128)} parameter(1)
  %start = (f32[3,3,12,24]{3,2,1,0:T(8,128)S(1)}, f32[3,3,12,24]{3,2,1,0:T(8,128)}, u32[]{:S(2)}) copy-start(%w)
  %done = f32[3,3,12,24]{3,2,1,0:T(8,128)S(1)} copy-done(%start)
  %init = (s32[]{:T(128)}, /*index=1*/f32[128]{0:T(128)}) tuple(%zero, %zeros)
  %loop = (s32[]{:T(128)}, f32[128]{0:T(128)}) while(%init), condition=%condition, body=%body
  ROOT %out = f32[8,16,16,24]{3,0,2,1:T(8,128)} fusion(%a, %done), kind=kOutput, calls=%fused, backend_config={"window_config":{"estimated_cycles":"700"}}
}
"""  # noqa: E501


def by_kind():
    return {cost.kind: cost for cost in costs(parse(PROGRAM), num_scales=8)}


def test_arrays_are_padded_to_whole_tiles_in_the_order_in_which_they_lie():
    lanes, packed, scalar, on_chip = arrays(
        "(f32[8,128,128,12]{3,0,2,1:T(8,128)}, bf16[128,32,17,12]{1,3,2,0:T(8,128)(2,1)}, "
        "f32[]{:T(128)}, u32[4]{0:T(128)S(1)})"
    )
    assert (lanes.bytes, lanes.tiled_bytes) == (8 * 128 * 128 * 12 * 4, 8 * 128 * 128 * 128 * 4)
    assert packed.tiled_bytes == 128 * 17 * 16 * 128 * 2  # 32 strips in lanes, 12 maps in sublanes
    assert (scalar.bytes, scalar.tiled_bytes) == (4, 512)
    assert (scalar.space, on_chip.space) == (0, 1)
    assert arrays("f32[3,5]")[0].tiled_bytes == 60


def test_what_is_in_a_loop_counts_as_often_as_the_loop_runs():
    found = [(op.name, times) for op, _, times in parse(PROGRAM).schedule() if op.name == "sum"]
    assert found == [("sum", 3)]
    assert by_kind()["collective"].hbm_bytes == 3 * 2 * 512


def test_bytes_of_main_memory_are_those_outside_the_chip():
    found = by_kind()
    image, result = (8 * 16 * 16 * 128 * 4,) * 2  # channels in lanes, whole tiles of 8x128
    kernel = 3 * 3 * 16 * 128 * 4
    assert found["convolution"].hbm_bytes == image + result
    assert found["convolution"].all_bytes == image + result + kernel
    assert found["background copy"].hbm_bytes == kernel  # read, and written on the chip
    assert found["background copy"].all_bytes == 2 * kernel


def test_a_convolution_fills_whole_blocks_of_the_matrix_unit():
    found = by_kind()["convolution"]
    assert found.matrix_flops == 2 * 9 * (8 * 16 * 16) * 128 * 128
    assert found.cycles == 700
    assert found.level == "4"  # scale 3 of the decoder of 8 scales, counted from the coarsest
    (wide,) = (c for c in costs(parse(PROGRAM), 8, matrix_unit=256) if c.kind == "convolution")
    assert wide.matrix_flops == 2 * 9 * (8 * 16 * 16) * 256 * 256


def test_a_kernels_gradient_costs_the_matrix_unit_what_the_convolution_does():
    """Its window is the image, its result as large as the kernel."""
    gradient = PROGRAM.replace(
        "f32[8,16,16,24]{3,0,2,1:T(8,128)} convolution(%p0, %p1)",
        "f32[12,3,3,24]{3,0,2,1:T(8,128)} convolution(%p0, %g)",
    )
    gradient = gradient.replace("window={size=3x3 pad", "window={size=16x16 pad")
    gradient = gradient.replace("b01f_01io->b01f", "f01b_i01o->b01f").replace(
        "  ROOT %c", "  %g = f32[8,16,16,24]{3,0,2,1:T(8,128)} parameter(2)\n  ROOT %c"
    )
    (found,) = (c for c in costs(parse(gradient), 8) if c.kind == "convolution")
    assert found.matrix_flops == 2 * 9 * (8 * 16 * 16) * 128 * 128


def test_a_program_compiled_here_is_read_too():
    def step(x, w):
        y = jax.lax.conv_general_dilated(
            x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return jax.lax.fori_loop(0, 5, lambda _, z: jnp.sin(z), y).sum()

    x, w = np.zeros((2, 8, 8, 3), np.float32), np.zeros((3, 3, 3, 4), np.float32)
    program = parse(jax.jit(step).lower(x, w).compile().as_text())
    times = {t for op, _, t in program.schedule() if "sin" in op.op_name and op.opcode != "while"}
    assert 5 in times
    assert any(cost.all_bytes for cost in costs(program, 1))
