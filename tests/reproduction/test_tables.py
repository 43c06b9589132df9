"""Ours beside the paper's: which runs a table needs, merging them, what is printed."""

import dataclasses
import importlib
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import demo
from hpunet_jax.checkpoints import Checkpoints
from hpunet_jax.config import differences
from hpunet_jax.evaluation.results import origin, result_name
from hpunet_jax.evaluation.scores import Scores
from hpunet_jax.networks import build_network, check_image_shape
from hpunet_jax.reproduction.paper_tables import TABLES
from hpunet_jax.reproduction.runs import (
    DEMO,
    LONG,
    PAPER,
    TIGHT,
    Job,
    Run,
    check_made_by,
    config_file,
    evaluated,
    finished,
    jobs_of,
    trained,
)
from hpunet_jax.reproduction.tables import markdown_table, merge, text_table

TABLE = TABLES["table1_lidc"]


def run_of(seed, better=0.0, config="lidc_hpunet", images=40, **fields):
    """A run whose scores of all images are random, IoUs higher and GED² lower by `better`."""
    rng = np.random.default_rng([seed, int(1000 * abs(better))])
    scores = {
        "reconstruction_iou": 0.5 + better + 0.1 * rng.random(images),
        "hungarian_iou": 0.3 + better + 0.1 * rng.random(images),
        "ged2": 0.6 - better + 0.1 * rng.random(images),
    }
    made_by = demo.get_config(config).unlock()
    made_by.training.seed = seed
    made_by.update_from_flattened_dict({k.replace("__", "."): v for k, v in fields.items()})
    return Run(seed, made_by, Scores({"model": scores}, np.arange(images) % 3 == 0, {}))


@pytest.fixture
def runs():
    return {
        "lidc_spunet": [run_of(seed, config="lidc_spunet") for seed in range(3)],
        "lidc_hpunet": [run_of(seed, better=0.2) for seed in (2, 0, 1)],
    }


@pytest.fixture
def result(runs):
    return json.loads(json.dumps(merge(TABLE, runs, num_bootstraps=50)))


def test_the_papers_numbers_are_those_of_its_tables():
    """Table 1a and Table 2 row by row, as printed there."""
    of = {
        row.config: {key: (n.mean, n.std) for key, n in row.published.items()} for row in TABLE.rows
    }
    assert of["lidc_spunet"] == {
        "iou_rec": (0.75, 0.04),
        "ged2": (0.32, 0.03),
        "hungarian": (0.50, 0.03),
        "hungarian_b": (0.37, 0.07),
    }
    assert of["lidc_hpunet"]["hungarian_b"] == (0.47, 0.01)
    second = [[n.mean for n in row.published.values()] for row in TABLES["table2"].rows]
    assert second == [
        [0.97, 0.27, 0.53],
        [0.97, 0.34, 0.45],
        [0.94, 0.40, 0.37],
        [0.94, 0.27, 0.54],
    ]
    for table in TABLES.values():
        for row in table.rows:
            assert set(row.published) <= set(table.columns)


@pytest.mark.parametrize(
    "name", sorted({r.config for t in TABLES.values() if t.demo for r in t.rows})
)
def test_every_row_has_the_config_that_it_names_and_the_same_made_small(name):
    paper = importlib.import_module(f"configs.{name}").get_config()
    demo_file = config_file(name, DEMO).split(":")[0]
    small = importlib.import_module(demo_file.removesuffix(".py").replace("/", ".")).get_config(
        name
    )
    assert small.is_locked
    assert small.model.name == paper.model.name
    assert small.data.crop[0] < paper.data.crop[0]
    sizes = [
        sum(leaf.size for leaf in jax.tree.leaves(build_network(config.model).param_shapes()))
        for config in (small, paper)
    ]
    assert sizes[0] < sizes[1] / 5
    check_image_shape(build_network(small.model), (*small.data.crop, small.model.image_channels))


def test_configs_that_are_small_as_they_are_stay_so():
    for row in TABLES["vnc"].rows:
        assert config_file(row.config, DEMO) == f"configs/{row.config}.py"


def test_the_ablations_differ_from_the_hpunet_in_what_they_ablate():
    """Appendix F: as many latents, at one scale only; at the demo's size too."""
    for get in (
        lambda name: importlib.import_module(f"configs.{name}").get_config(),
        demo.get_config,
    ):
        whole, no_top_k = get("lidc_hpunet"), get("lidc_no_top_k")
        local, everywhere = get("lidc_local_latents"), get("lidc_global_latents")
        for config in (whole, local):
            bottom = config.data.crop[0] // 2 ** (config.model.num_scales - 1)
            assert bottom * 2 ** (len(config.model.latent_dims) - 1) == 8
        assert [dim for dim in local.model.latent_dims if dim] == [1]
        assert everywhere.model.latent_dims == (85,)
        assert everywhere.data.crop[0] == 2 ** (everywhere.model.num_scales - 1)
        assert everywhere.objective.kappa == pytest.approx(whole.objective.kappa + 0.1)
        assert (no_top_k.objective.top_k, no_top_k.model) == (1.0, whole.model)
        assert local.objective == whole.objective


def test_the_seeds_of_a_row_are_merged_in_their_order(result, runs):
    row = result["rows"][1]
    assert (row["label"], row["seeds"]) == ("HPU-Net", [0, 1, 2])
    ged2 = [
        run.scores.rows["model"]["ged2"].mean()
        for run in sorted(runs["lidc_hpunet"], key=lambda r: r.seed)
    ]
    np.testing.assert_allclose(row["ours"]["ged2"]["of_each_seed"], ged2)
    np.testing.assert_allclose(row["ours"]["ged2"]["mean"], np.mean(ged2))
    assert row["ours"]["ged2"]["std"] > np.std(ged2)
    of_b = [run.scores.rows["model"]["hungarian_iou"][::3].mean() for run in runs["lidc_hpunet"]]
    np.testing.assert_allclose(row["ours"]["hungarian_b"]["mean"], np.mean(of_b))
    assert row["paper"]["iou_rec"] == {"mean": 0.97, "std": 0.0, "source": "Table 1a"}


def test_an_ordering_is_compared_over_all_pairs_of_seeds(runs):
    runs["lidc_hpunet"][0] = run_of(2, better=-0.3)
    found = {line["column"]: line for line in merge(TABLE, runs, 50)["orderings"]}
    assert set(found) == {column.label for column in TABLE.columns.values()}
    for line in found.values():
        assert (line["better"], line["worse"]) == ("HPU-Net", "sPU-Net")
        assert (line["wins"], line["pairs"], line["agrees"]) == (6, 9, True)
    swapped = {"lidc_hpunet": runs["lidc_spunet"], "lidc_spunet": [run_of(0, better=0.2)]}
    assert not any(line["agrees"] for line in merge(TABLE, swapped, 50)["orderings"])


def test_ours_and_the_papers_numbers_have_columns_that_name_their_data(result):
    for text in (text_table(result), markdown_table(result)):
        header = next(line for line in text.splitlines() if "score" in line)
        ours = header.index("ours: real outlines on SIMULATED CT")
        assert ours < header.index("the paper: LIDC-IDRI, real CT")
        (line,) = (
            line for line in text.splitlines() if "HPU-Net" in line and "0.97 ± 0.00" in line
        )
        mean = result["rows"][1]["ours"]["iou_rec"]["mean"]
        assert line.index(f"{mean:.3f} ± ") < line.index("0.97 ± 0.00")
        assert "seeds 0, 1, 2" in text
        assert "ours too, in 9 of 9 pairs of seeds" in text
        assert "40 images of 64x64 pixels" in text


def test_rows_without_runs_stay_empty_and_are_named(runs):
    del runs["lidc_spunet"]
    result = merge(TABLE, runs, 50)
    assert result["orderings"] == []
    assert "sPU-Net: lidc_spunet, no finished run." in text_table(result)
    nothing = text_table(merge(TABLES["table1_cityscapes"], {}, 50))
    assert "ours: no runs yet" in nothing
    assert "0.468" in nothing


def test_runs_that_do_not_belong_together_are_refused(runs):
    runs["lidc_hpunet"].append(run_of(7, training__steps=7))
    with pytest.raises(
        ValueError, match=r"lidc_hpunet: .* seed 0 has training.steps=.* seed 7 has 7"
    ):
        merge(TABLE, runs)
    runs["lidc_hpunet"] = [run_of(0, data__name="lidc_crops")]
    with pytest.raises(ValueError, match="lidc_crops and lidc_phantom, and do not belong"):
        merge(TABLE, runs)


def test_the_runs_of_a_table_can_be_handed_out_one_by_one():
    everything = jobs_of([TABLE], 2)
    assert [job.name for job in everything] == [
        "lidc_spunet/seed0",
        "lidc_hpunet/seed0",
        "lidc_spunet/seed1",
        "lidc_hpunet/seed1",
    ]
    assert jobs_of([TABLE], 2, ["seed1"]) == everything[2:]
    assert jobs_of([TABLE], 2, ["lidc_hpunet"]) == everything[1::2]
    assert jobs_of([TABLE], 2, ["lidc_spunet/seed0", "seed1"]) == [everything[0], *everything[2:]]
    with pytest.raises(ValueError, match=r"--only=seed2 is none of .* lidc_spunet/seed0"):
        jobs_of([TABLE], 2, ["seed2"])
    together = jobs_of([TABLE, TABLES["table2"]], 1)
    assert len(together) == 2 + 3  # the HPU-Net is in both tables
    assert config_file("lidc_spunet", PAPER) == "configs/lidc_spunet.py"
    assert config_file("lidc_spunet", DEMO) == "configs/demo.py:lidc_spunet"
    assert config_file("lidc_spunet", LONG) == "configs/lidc_phantom_long.py:lidc_spunet"
    assert config_file("lidc_spunet", TIGHT) == "configs/lidc_phantom_tight.py:lidc_spunet"
    assert config_file("vnc_spunet", LONG) == "configs/vnc_spunet.py"
    assert config_file("snemi3d_hpunet", DEMO) == "configs/demo_neurites.py:snemi3d_hpunet"


def test_the_trained_runs_of_a_config_are_those_with_a_checkpoint(tmp_path):
    for folder in ("seed10", "seed2", "seedling"):
        (tmp_path / "lidc_spunet" / folder / "checkpoints").mkdir(parents=True)
    (tmp_path / "lidc_spunet" / "seed3").mkdir()
    assert trained(tmp_path, "lidc_spunet") == [Job("lidc_spunet", 2), Job("lidc_spunet", 10)]
    assert trained(tmp_path, "lidc_hpunet") == []


def test_a_run_is_finished_with_the_scores_of_its_last_step_on_its_split(tmp_path, tiny_config):
    folder = tmp_path / "lidc_hpunet" / "seed0"

    def write(step, **changes):
        with Checkpoints(folder) as checkpoints:
            if step not in checkpoints.steps():
                checkpoints.save(step, {"w": jnp.ones(3)}, {"step": step}, tiny_config)
        of_what = {"weights": "abc", "step": step, "data": "d/1.0.0", "data_digest": "e"}
        of_what |= {"split": "test", "limit": None, **changes}
        scores = run_of(0).scores
        settings = {**scores.settings, **origin(tiny_config, **of_what)}
        scores = dataclasses.replace(scores, settings=settings)
        name = result_name(of_what["split"], of_what["limit"], step, "abc")
        scores.save(folder / f"{name}.npz")
        return folder / f"{name}.npz", scores

    assert evaluated(folder) is None
    write(2)  # of 4 steps
    assert evaluated(folder) is None
    write(4, split="validation")
    write(4, limit=5)
    assert evaluated(folder) is None
    assert evaluated(folder, limit=5)[1].settings["limit"] == 5
    path, scores = write(4)
    config, read = evaluated(folder)
    assert differences(config, tiny_config) == {}
    assert read.settings["split"] == "test"
    old = {**scores.settings, "metrics_version": 1}
    dataclasses.replace(scores, settings=old).save(path)
    with pytest.raises(ValueError, match=r"version 1 of the metrics.*evaluate it again"):
        evaluated(folder)
    other = {**scores.settings, "config": {}}
    dataclasses.replace(scores, settings=other).save(path)
    with pytest.raises(
        ValueError, match=r"of a run with another config, of data.augmentation.brightness=None, n"
    ):
        evaluated(folder)
    younger = {**scores.settings["config"], "mesh": {"data": 8}}
    del younger["training"]["ema_decay"]  # written before there was this field
    dataclasses.replace(scores, settings={**scores.settings, "config": younger}).save(path)
    assert evaluated(folder) is not None

    assert [run.seed for run in finished(tmp_path, "lidc_hpunet")] == [0]
    copy = shutil.copytree(folder, folder.with_name("seed1"))
    with pytest.raises(ValueError, match=r"seed1 holds a run of training.seed=0, not of the seed"):
        finished(tmp_path, "lidc_hpunet")
    shutil.rmtree(copy)

    check_made_by(folder.with_name("seed1"), tiny_config)
    asked = tiny_config.copy_and_resolve_references().unlock()
    asked.training.log_every, asked.data.dir = 1000, "elsewhere"
    check_made_by(folder, asked)
    asked.training.steps = 10_000
    message = r"seed0 holds another run .*: training.steps is 4 there and 10000 here. Use another"
    with pytest.raises(ValueError, match=message):
        check_made_by(folder, asked)


@pytest.mark.parametrize(
    "setting",
    [
        {"split": "validation"},
        {"limit": 5},
        {"data_digest": "other"},
        {"trained_on": "other"},
        {"metrics_version": 1},
        {"num_samples": 8},
    ],
)
def test_runs_that_were_not_evaluated_alike_are_refused(runs, setting):
    common = {"split": "test", "limit": None, "data_digest": "same", "metrics_version": 2}
    common["trained_on"] = "same"

    def with_settings(run, **more):
        settings = {**run.scores.settings, **common, **more}
        return run._replace(scores=dataclasses.replace(run.scores, settings=settings))

    runs = {
        row: [with_settings(run, weights=row) for run in of_row] for row, of_row in runs.items()
    }
    merge(TABLE, runs, 10)
    runs["lidc_hpunet"][-1] = with_settings(runs["lidc_hpunet"][-1], **setting)
    (name,) = setting
    with pytest.raises(ValueError, match=rf"seed0 and lidc_hpunet/seed. .* different {name}, "):
        merge(TABLE, runs)
