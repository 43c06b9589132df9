import numpy as np
import pytest

from hpunet_jax.figures import curves_figure, read_metrics

COLUMNS = (
    "step",
    "reconstruction_per_pixel",
    "moving_average_per_pixel",
    "lagrange_multiplier",
    "kl_sum",
    "kl_0",
    "kl_1",
)


@pytest.fixture
def run():
    rng = np.random.default_rng(0)
    columns = {name: rng.uniform(0.5, 1, 20) for name in COLUMNS}
    return {**columns, "step": np.arange(20) * 10.0}


def lines(axes):
    return [np.asarray(line.get_ydata()) for line in axes.get_lines()]


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_four_panels_show_the_columns(run):
    reconstruction, multiplier, total, scales = curves_figure([run], kappa=0.3).axes
    loss, average, kappa = lines(reconstruction)
    np.testing.assert_array_equal(loss, run["reconstruction_per_pixel"])
    np.testing.assert_array_equal(average, run["moving_average_per_pixel"])
    np.testing.assert_array_equal(kappa, 0.3)
    assert reconstruction.get_lines()[2].get_linestyle() == "--"
    # Faint lines as logged, each below its running mean; so few rows are their own mean.
    for panel, columns in (
        (multiplier, ["lagrange_multiplier"]),
        (total, ["kl_sum"]),
        (scales, ["kl_0", "kl_1"]),
    ):
        for column, logged, mean in zip(
            columns, lines(panel)[::2], lines(panel)[1::2], strict=True
        ):
            np.testing.assert_array_equal(logged, run[column])
            np.testing.assert_allclose(mean, run[column])
    assert legend(scales) == ["scale 0, global", "scale 1, local"]
    assert legend(reconstruction) == ["κ = 0.3"]


def test_the_bold_line_is_the_running_mean_over_a_twenty_fifth_of_the_rows(run):
    long = {name: np.tile(column, 50)[:100] for name, column in run.items()}
    long["step"] = np.arange(100.0)
    logged, mean = lines(curves_figure([long]).axes[2])
    np.testing.assert_array_equal(logged, long["kl_sum"])
    np.testing.assert_allclose(mean[40], long["kl_sum"][38:43].mean())
    assert len(mean) == 100


def test_several_runs_share_the_panels_and_one_legend_entry_for_each_scale(run):
    other = {**run, "kl_0": run["kl_0"] + 1}
    figure = curves_figure([run, other], labels=["seed 0", "seed 1"])
    assert legend(figure.axes[0]) == ["seed 0", "seed 1"]
    assert len(lines(figure.axes[3])) == 2 * 2 * 2  # runs, scales, faint and bold
    assert len(legend(figure.axes[3])) == 2


def test_a_run_can_be_given_as_its_file(run, tmp_path):
    path = tmp_path / "metrics.csv"
    rows = np.stack(list(run.values()), axis=1)
    np.savetxt(path, rows, fmt="%.18g", delimiter=",", header=",".join(run), comments="")
    for from_file, expected in zip(
        curves_figure([path]).axes, curves_figure([run]).axes, strict=True
    ):
        np.testing.assert_array_equal(lines(from_file), lines(expected))


def test_without_a_multiplier_there_is_no_panel_for_it_and_no_kappa(run):
    for column in ("lagrange_multiplier", "moving_average_per_pixel"):
        del run[column]
    figure = curves_figure([run], kappa=0.3)
    assert len(lines(figure.axes[0])) == 2
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["reconstruction loss per pixel", "KL, sum over scales", "KL of each scale"]


def test_a_huge_kl_in_the_first_step_does_not_flatten_the_rest(run):
    run = {name: np.repeat(values, 10) for name, values in run.items()}
    run["kl_sum"][0] = run["kl_0"][0] = 1e6
    run["kl_sum"][-1], run["kl_0"][-1] = np.nan, np.inf  # and a last one that diverged
    _, _, total, scales = curves_figure([run]).axes
    assert total.get_ylim()[1] < 2
    assert scales.get_ylim()[1] < 2


def test_scales_are_ordered_by_number_not_by_name(run):
    run.update({f"kl_{scale}": run["kl_0"] + scale for scale in range(2, 11)})
    names = legend(curves_figure([run]).axes[3])
    assert names[2] == "scale 2"
    assert names[-1] == "scale 10, local"


def test_runs_that_cannot_be_drawn_are_refused(run):
    with pytest.raises(ValueError, match="at least one run"):
        curves_figure([])
    with pytest.raises(ValueError, match="2 labels for 1 runs"):
        curves_figure([run], labels=["a", "b"])
    del run["kl_sum"]
    with pytest.raises(ValueError, match="no column 'kl_sum'"):
        curves_figure([run])


def test_metrics_are_read_up_to_the_last_complete_row(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss,kl_0\r\n10,1.5,2e-3\r\n20,nan,3\r\n30,1.")
    metrics = read_metrics(path)
    np.testing.assert_array_equal(metrics["step"], [10, 20])
    np.testing.assert_array_equal(metrics["loss"], [1.5, np.nan])
    np.testing.assert_array_equal(metrics["kl_0"], [0.002, 3])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "holds no training metrics"),
        ("step,loss\n", "holds no training metrics"),
        ("time,loss\n1,2\n", "expected a column 'step'"),
        ("step,loss\n1,2\n3\n", "is damaged: line 3, '3', is no row of 2 numbers"),
        ("step,loss\n1,2\n3,x\n", "is damaged: line 3, '3,x'"),
        ("step,loss\n1,2\n\n3,4\n", "is damaged: line 3, ''"),
        ("step,loss\n\0\0\n3,4\n", "is damaged: line 2, "),
        ("step,loss\n# by hand\n3,4\n", "is damaged: line 2, '# by hand'"),
        ("step,loss\n3,4\n5,\udcff\n", "is damaged: line 3, "),
    ],
)
def test_files_without_metrics_are_named(tmp_path, content, sentence):
    path = tmp_path / "metrics.csv"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=rf"metrics\.csv .*{sentence}"):
        read_metrics(path)
    with pytest.raises(FileNotFoundError, match=r"none\.csv does not exist"):
        read_metrics(tmp_path / "none.csv")
