import numpy as np
import pytest

from hpunet_jax.figures import gradings_figure


def test_every_example_shows_its_image_and_all_graders():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 8, 10, 1), dtype=np.uint8)
    masks = rng.integers(0, 2, (3, 8, 10, 2), dtype=np.uint8)
    masks[1, ..., 0] = 0
    masks[2, ..., 1] = 255
    figure = gradings_figure(images, masks)
    assert len(figure.axes) == 3 * (1 + 2)
    notes = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert sorted(notes) == ["empty", "not annotated"]
    titles = [text.get_text() for text in figure.texts]
    assert titles == ["image", "grader 0", "grader 1"] * 2  # two examples side by side
    outlines = sum(bool(axes.collections) for axes in figure.axes)
    assert outlines == 3 * 2 - len(notes)


def test_masks_of_other_images_are_refused():
    with pytest.raises(ValueError, match="masks have shape"):
        gradings_figure(np.zeros((2, 8, 8, 1), np.uint8), np.zeros((2, 9, 8, 4), np.uint8))
