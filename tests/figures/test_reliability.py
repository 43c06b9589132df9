import numpy as np

from hpunet_jax.figures import reliability_figure, save_figure
from hpunet_jax.metrics.calibration import Reliability


def test_the_diagram_shows_each_row_its_diagonal_and_how_many_pixels_it_is_of(tmp_path):
    curve = Reliability(np.array([0.0, 0.5, 1.0]), np.array([0.1, 0.4, 0.9]), np.full(3, 1 / 3))
    figure = reliability_figure({"samples": curve, "others": curve})
    above, below = figure.axes
    diagonal, samples, others = above.get_lines()
    np.testing.assert_array_equal(*diagonal.get_data())
    np.testing.assert_array_equal(samples.get_ydata(), curve.graded)
    np.testing.assert_array_equal(below.get_lines()[0].get_ydata(), curve.share)
    assert [text.get_text() for text in above.get_legend().get_texts()][1:] == ["samples", "others"]
    assert others.get_color() != samples.get_color()
    many = reliability_figure({str(row): curve for row in range(9)})  # more than there are colours
    assert len(many.axes[0].get_lines()) == 1 + 9
    save_figure(figure, tmp_path / "reliability.png")
    assert (tmp_path / "reliability.png").stat().st_size > 1000
