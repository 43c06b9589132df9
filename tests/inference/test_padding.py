import hypothesis
import hypothesis.strategies as st
import numpy as np

from hpunet_jax.inference.padding import pad_to_multiple


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
    height=st.integers(1, 40), width=st.integers(1, 40), multiple=st.sampled_from([1, 8, 32])
)
def test_padding_continues_the_image_by_its_mirror_image_and_is_cut_off_again(
    height, width, multiple
):
    image = np.random.default_rng(0).uniform(size=(height, width, 2))
    padded, inside = pad_to_multiple(image, multiple)
    for length, original in zip(padded.shape[:2], image.shape[:2], strict=True):
        assert length % multiple == 0
        assert 0 <= length - original < multiple
    np.testing.assert_array_equal(padded[inside], image)
    top = inside[0].start
    if 0 < top <= height:
        np.testing.assert_array_equal(padded[:top, inside[1]], image[:top][::-1])
