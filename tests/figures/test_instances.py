"""Figs. 4-6 and 15: what is shown where."""

import numpy as np
import pytest

from hpunet_jax.figures import extrapolation_figure, instance_figure, save_figure, scales_figure
from hpunet_jax.figures.instances import find_detail
from hpunet_jax.figures.palettes import instance_palette, neurite_palette, paint, street_palette
from hpunet_jax.figures.panels import unit_image

B, H, W, N = 2, 8, 10, 5
PALETTE = neurite_palette(15)


def arrays(width=W, classes=16):
    rng = np.random.default_rng(0)
    return {
        "images": rng.integers(0, 256, (B, H, width, 1), dtype=np.uint8),
        "labels": rng.integers(-1, classes, (B, H, width)),
        "reconstructions": rng.integers(0, classes, (B, H, width)),
        "instances": rng.integers(0, 40, (B, H, width)).astype(np.int32),
        "samples": rng.integers(0, classes, (N, B, H, width)).astype(np.uint8),
    }


def shown(figure):
    return [axes.images[0].get_array() for axes in figure.axes if axes.images]


def texts(figure):
    return [text.get_text() for text in figure.texts]


def notes(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def assert_inside_and_apart(figure):
    boxes = [axes.get_position() for axes in figure.axes]
    for box in boxes:
        assert -1e-9 <= box.x0 < box.x1 <= 1 + 1e-9
        assert -1e-9 <= box.y0 < box.y1 <= 1 + 1e-9
    for number, a in enumerate(boxes):
        for b in boxes[:number]:
            assert a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0


@pytest.mark.parametrize("width", [W, 3 * H])
def test_each_image_is_followed_by_truth_reconstruction_instances_and_samples(width):
    given = arrays(width)
    figure = instance_figure(**given, palette=PALETTE, num_shown=4)
    pictures = shown(figure)
    assert len(pictures) == B * (4 + 4)
    for image in range(B):
        first, truth, rebuilt, clusters, *samples = pictures[image * 8 : image * 8 + 8]
        np.testing.assert_allclose(first, unit_image(given["images"][image]))
        np.testing.assert_array_equal(truth, paint(given["labels"][image], PALETTE))
        np.testing.assert_array_equal(rebuilt, paint(given["reconstructions"][image], PALETTE))
        instances = given["instances"][image]
        np.testing.assert_array_equal(clusters, paint(instances, instance_palette(39)))
        for number, sample in enumerate(samples):
            expected = paint(given["samples"][number, image], PALETTE)
            np.testing.assert_array_equal(sample, expected)
    assert {"image", "ground truth", "reconstruction", "instances", "samples"} <= set(texts(figure))
    assert_inside_and_apart(figure)


def test_the_number_of_instances_is_noted_without_the_background():
    given = arrays()
    given["instances"][0], given["instances"][1] = 0, 0
    given["instances"][1, 2:4] = 7
    figure = instance_figure(**given, palette=PALETTE)
    assert notes(figure) == ["0 instances", "1 instance"]


def test_cars_lie_over_the_image_and_the_classes_that_occur_are_explained():
    given = arrays(2 * W, classes=2)
    given["samples"][0, 0, 0, :2] = [13, 17]  # two of five car ids
    names = [f"class {min(label, 13)}" for label in range(23)]
    figure = instance_figure(**given, palette=street_palette(5), names=names)
    legend = ["class 0", "class 1", "class 13", "not annotated"]
    assert texts(figure)[-4:] == legend
    np.testing.assert_array_equal(shown(figure)[-2][0], street_palette(5)[[13, 17]])
    empty = given["instances"][0] == 0
    assert empty.any()
    instances = shown(figure)[3]
    expected = 0.55 * unit_image(given["images"][0])
    np.testing.assert_allclose(instances[empty], expected[empty])
    assert_inside_and_apart(figure)


def test_the_square_in_which_named_classes_differ_most_is_enlarged():
    given = arrays(4 * H, classes=1)  # rows 8, columns 32: the square has 3x3 pixels
    given["samples"][::2, 0, :, :20] = 2  # cars of two labels: the same class
    given["samples"][1::2, 0, :, :20] = 3
    given["samples"][:2, 1, 4:7, 21:24] = 1
    names = ["road", "bus", "car", "car"]
    assert find_detail(given["samples"], names) == (1, 4, 21, 3)

    figure = instance_figure(**given, palette=street_palette(5), names=names, num_shown=4)
    image, truth, *samples = shown(figure)[B * 8 : B * 8 + 6]
    np.testing.assert_allclose(image, unit_image(given["images"][1])[4:7, 21:24])
    np.testing.assert_array_equal(truth, paint(given["labels"][1], street_palette(5))[4:7, 21:24])
    all_bus = [(sample == street_palette(5)[1]).all() for sample in samples]
    assert all_bus == [True, True, False, False]
    framed = [number for number, axes in enumerate(figure.axes) if axes.patches]
    assert framed == [12, 13, 14, 15]  # the samples of the second image
    assert_inside_and_apart(figure)


@pytest.mark.parametrize("name", ["labels", "reconstructions", "instances", "samples"])
def test_arrays_that_do_not_fit_the_images_are_named(name):
    given = arrays()
    given[name] = given[name][..., :-1]
    with pytest.raises(ValueError, match=f"{name} have shape"):
        instance_figure(**given, palette=PALETTE)


def extrapolation_arrays():
    given = arrays()
    del given["instances"]
    visible = np.ones((B, H, W), bool)
    visible[0, :3] = False
    return {**given, "visible": visible}


def test_the_hidden_part_is_black_and_a_dashed_line_ends_it(tmp_path):
    given = extrapolation_arrays()
    figure = extrapolation_figure(**given, palette=PALETTE, num_shown=4)
    pictures = shown(figure)
    assert len(pictures) == B * (3 + 4)
    assert (pictures[0][:3] == 0).all()
    np.testing.assert_allclose(pictures[0][3:], unit_image(given["images"][0])[3:])
    np.testing.assert_array_equal(pictures[6], paint(given["samples"][3, 0], PALETTE))
    for number, axes in enumerate(figure.axes):
        lines = [path.vertices for line in axes.collections for path in line.get_paths()]
        if number < 7:
            assert {line.get_linestyle()[0][1] is not None for line in axes.collections} == {
                False,
                True,
            }
            assert all((vertices[:, 1] == 2.5).all() for vertices in lines)
        else:  # of the second image, everything is visible
            assert not lines
    assert_inside_and_apart(figure)
    save_figure(figure, tmp_path / "extrapolation.png")
    assert (tmp_path / "extrapolation.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", ["labels", "reconstructions", "visible", "samples"])
def test_arrays_that_do_not_fit_the_visible_images_are_named(name):
    given = extrapolation_arrays()
    given[name] = given[name][..., :-1]
    with pytest.raises(ValueError, match=f"{name} have shape"):
        extrapolation_figure(**given, palette=PALETTE)


def test_scales_of_many_labels_are_painted_in_their_colours():
    given = arrays()
    mean = given["reconstructions"][None]  # a single one has no deviation
    rows = {"all": given["samples"], "mean": mean, "finest": given["samples"][::-1]}
    figure = scales_figure(given["images"], rows, num_shown=3, palette=PALETTE)
    pictures = shown(figure)
    assert len(pictures) == B * (1 + 2 * (3 + 1) + 1) + 1
    np.testing.assert_array_equal(pictures[2], paint(given["samples"][1, 0], PALETTE))
    np.testing.assert_array_equal(pictures[5], paint(mean[0, 0], PALETTE))
    np.testing.assert_array_equal(pictures[6], paint(given["samples"][-1, 0], PALETTE))
