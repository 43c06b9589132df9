import numpy as np
import pytest

from hpunet_jax.figures import sample_figure, save_figure, scales_figure
from tests.figures.checks import assert_inside

B, H, W, G, N = 2, 8, 10, 3, 6


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "images": rng.integers(0, 256, (B, H, W, 1), dtype=np.uint8),
        "masks": rng.integers(0, 2, (B, H, W, G), dtype=np.uint8),
        "reconstructions": rng.integers(0, 2, (G, B, H, W), dtype=np.uint8),
        "samples": rng.integers(0, 2, (N, B, H, W), dtype=np.uint8),
    }


def panels_with_images(figure):
    return [axes for axes in figure.axes if axes.images]


def texts(figure):
    return [text.get_text() for text in figure.texts]


def notes(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def deviations(figure):
    """The arrays shown in the colours of the standard deviation, without their key."""
    shown = [axes.images[0].get_array() for axes in panels_with_images(figure)]
    return [array for array in shown if array.shape == (H, W)]


def test_every_image_has_its_gradings_reconstructions_samples_and_deviation(arrays):
    figure = sample_figure(**arrays, num_shown=4)
    key = 1
    assert len(panels_with_images(figure)) == B * (1 + 2 * G + 4 + 1) + key
    for title in ("image", "grader 0", "grader 2", "samples", "std. dev. of 6 samples"):
        assert title in texts(figure)
    for shown, image in zip(deviations(figure), range(B), strict=True):
        np.testing.assert_allclose(shown, arrays["samples"][:, image].std(axis=0))


def test_the_deviation_of_probabilities_is_shown_if_given(arrays):
    probabilities = np.random.default_rng(1).dirichlet([1, 1], (N, B, H, W))
    figure = sample_figure(**arrays, probabilities=probabilities)
    np.testing.assert_allclose(deviations(figure)[0], probabilities[:, 0, ..., 1].std(axis=0))


def test_gradings_that_are_missing_or_empty_are_told_apart(arrays):
    arrays["masks"][0, ..., 1] = 255
    arrays["masks"][1, ..., 2] = 0
    assert sorted(notes(sample_figure(**arrays))) == ["empty", "not annotated"]


@pytest.mark.parametrize(("graders", "shown"), [(1, 1), (1, 5), (7, 6)])
def test_any_number_of_graders_and_samples_fits_the_page(arrays, graders, shown):
    chosen = [grader % G for grader in range(graders)]
    arrays["masks"] = arrays["masks"][..., chosen]
    arrays["reconstructions"] = arrays["reconstructions"][chosen]
    assert_inside(sample_figure(**arrays, num_shown=shown))


def test_colour_images_and_several_classes_can_be_shown(arrays, tmp_path):
    arrays["images"] = arrays["images"].repeat(3, axis=-1)
    arrays["masks"] = arrays["masks"] * 2
    figure = sample_figure(**arrays)
    assert_inside(figure)
    save_figure(figure, tmp_path / "samples.png")
    assert (tmp_path / "samples.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("masks", "masks have shape"),
        ("samples", r"samples have shape .* expected \[N, B, H, W\]"),
        ("reconstructions", r"reconstructions have shape .* one for each grading"),
    ],
)
def test_arrays_that_do_not_fit_the_images_are_named(arrays, name, sentence):
    given = arrays[name]
    arrays[name] = given[:, :-1]
    with pytest.raises(ValueError, match=sentence):
        sample_figure(**arrays)
    arrays[name] = given
    for change, sentence in (
        ({"samples": arrays["samples"][:0]}, "no samples to show"),
        ({"num_shown": 0}, "num_shown must be an integer of 1 or more, not 0"),
        ({"probabilities": np.zeros((N, B - 1, H, W, 2))}, "probabilities have shape"),
    ):
        with pytest.raises(ValueError, match=sentence):
            sample_figure(**{**arrays, **change})


def test_every_choice_of_scales_is_a_row_of_samples_with_its_deviation(arrays):
    samples = arrays["samples"]
    rows = {
        "all scales": samples,
        "most global only": samples[::-1],
        "most local only": samples[:4],
    }
    figure = scales_figure(arrays["images"], rows)
    assert len(panels_with_images(figure)) == B * (1 + N + N + 4 + 3) + 1
    assert any(text.replace("\n", " ") == "most global only" for text in texts(figure))
    expected = [rows[name][:, image].std(axis=0) for image in range(B) for name in rows]
    for shown, deviation in zip(deviations(figure), expected, strict=True):
        np.testing.assert_allclose(shown, deviation)
    assert_inside(figure)


def test_scales_show_the_deviation_of_their_own_probabilities(arrays):
    probabilities = np.random.default_rng(1).dirichlet([1, 1], (2, N, B, H, W))
    names = ("all", "local")
    figure = scales_figure(
        arrays["images"],
        dict.fromkeys(names, arrays["samples"]),
        dict(zip(names, probabilities, strict=True)),
    )
    shown = deviations(figure)
    np.testing.assert_allclose(shown[1], probabilities[1, :, 0, ..., 1].std(axis=0))


def test_rows_of_samples_that_do_not_fit_are_named(arrays):
    with pytest.raises(ValueError, match="the samples of 'local' have shape"):
        scales_figure(arrays["images"], {"local": arrays["samples"][:, :1]})
    with pytest.raises(ValueError, match="at least one row"):
        scales_figure(arrays["images"], {})
