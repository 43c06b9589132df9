import subprocess
import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from hpunet_jax.figures import panels


def rendered(draw):
    """RGB pixels of a panel filling the whole figure."""
    figure = Figure(figsize=(1, 1), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    draw(axes)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


def test_the_figures_never_touch_pyplot():
    program = "import sys, hpunet_jax.figures; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_images_of_any_type_become_rgb_between_0_and_1(dtype):
    greatest = 1 if dtype == np.float32 else np.iinfo(dtype).max
    image = np.array([[[0], [greatest]]], dtype)
    np.testing.assert_array_equal(panels.unit_image(image), [[[0] * 3, [1] * 3]])
    for several in (2, 4):  # neither grey nor colours: the first is shown
        stacked = np.concatenate([image, *[image[:, ::-1]] * (several - 1)], axis=2)
        np.testing.assert_array_equal(panels.unit_image(stacked), panels.unit_image(image))


def test_only_the_foreground_is_tinted():
    image = np.full((20, 20, 1), 0.2)
    labels = np.zeros((20, 20), int)
    labels[:, 12:] = 1
    labels[:3] = 255
    pixels = rendered(lambda axes: panels.draw_segmentation(axes, image, labels, ["#ff0000"]))
    assert (pixels[90, 10] == 51).all()
    assert (pixels[5, 90] == 51).all()
    np.testing.assert_allclose(pixels[80, 85], [51 * 0.7 + 255 * 0.3, 51 * 0.7, 51 * 0.7], atol=2)


def test_every_class_has_its_own_colour():
    image = np.zeros((20, 20, 1))
    labels = np.repeat([1, 2], 10)[None].repeat(20, axis=0)
    colours = ["#ff0000", "#0000ff"]
    pixels = rendered(lambda axes: panels.draw_segmentation(axes, image, labels, colours))
    assert pixels[50, 25, 0] > pixels[50, 25, 2]
    assert pixels[50, 75, 2] > pixels[50, 75, 0]


def test_an_empty_segmentation_says_so():
    figure = Figure()
    axes = figure.add_axes((0, 0, 1, 1))
    panels.draw_segmentation(axes, np.zeros((8, 8, 1)), np.zeros((8, 8), int), ["red"])
    assert [text.get_text() for text in axes.texts] == ["empty"]


def test_the_deviation_is_that_of_the_probabilities_or_of_the_labels():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([1, 1], (6, 2, 3, 3))
    samples = probabilities.argmax(axis=-1)
    expected = probabilities[..., 1].std(axis=0)
    np.testing.assert_allclose(panels.standard_deviation(samples, probabilities), expected)
    np.testing.assert_allclose(panels.standard_deviation(samples, None), samples.std(axis=0))
    np.testing.assert_array_equal(panels.standard_deviation(samples * 0, None), 0)


def test_classes_that_take_turns_deviate_though_the_foreground_never_does():
    samples = np.array([1, 2, 1, 2]).reshape(4, 1, 1, 1) * np.ones((4, 1, 2, 2), int)
    np.testing.assert_array_equal(panels.standard_deviation(samples, None), 0.5)


def test_saved_figures_are_the_same_bytes_again(tmp_path):
    for name in ("first", "second"):
        sheet = panels.Sheet(1.0)
        sheet.text(1.0, 0.5, "text")
        panels.save_figure(sheet.figure, tmp_path / "new" / f"{name}.png")
    first, second = (tmp_path / "new" / f"{name}.png" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    with Image.open(first) as image:
        assert image.size == (2000, 200)
    assert {path.name for path in first.parent.iterdir()} == {"first.png", "second.png"}
