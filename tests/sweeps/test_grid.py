"""Which runs a sweep has, how they are called, and what is refused before any of them starts."""

import pytest

from configs import cityscapes_hpunet, lidc_hpunet
from hpunet_jax.config import load_sweep
from hpunet_jax.sweeps.grid import configs_of, crossed, flags_of, grid, names_of


@pytest.fixture(scope="module")
def config():
    return lidc_hpunet.get_config()


def test_a_grid_is_all_combinations(config):
    points = grid(["objective.kappa=0.02,1", "training.seed=0:5:2"], config)
    assert points == [
        {"objective.kappa": kappa, "training.seed": seed}
        for kappa in (0.02, 1.0)
        for seed in (0, 2, 4)
    ]
    assert names_of(points)[0] == "kappa=0.02,seed=0"
    assert flags_of(points[-1]) == ["--config.objective.kappa=1.0", "--config.training.seed=4"]
    assert grid([], config) == [{}]


def test_values_have_the_types_of_their_fields(config):
    settings = [
        "data.crop=(64, 64),(128,128)",
        "optimizer.name=adam,adam_tf1",
        "mesh.shard_optimizer=true,False",
        "objective.top_k=2e-2",
    ]
    first, *_, last = grid(settings, config)
    assert first == {
        "data.crop": (64, 64),
        "optimizer.name": "adam",
        "mesh.shard_optimizer": True,
        "objective.top_k": 0.02,
    }
    assert (last["data.crop"], last["mesh.shard_optimizer"]) == ((128, 128), False)
    name = names_of([first])[0]
    assert name == "crop=64x64,name=adam,shard_optimizer=True,top_k=0.02"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("objective.kapa=0.1", "unknown field objective.kapa: did you mean objective.kappa"),
        ("objective.kappa=much", "objective.kappa must be a number .*, not 'much'"),
        ("objective.kappa=", "must be field=value,value"),
        ("objective.kappa", "must be field=value,value"),
        ("objective=1", "objective is a section"),
        ("objective.kappa=0.1,0.1", "has 0.1 twice"),
        ("training.seed=1.5", "training.seed must be an integer"),
        ("training.seed=5:0", "has no values"),
        ("training.seed=0:4:0", "has no values"),
        ("data.crop=64x64,32x32", "data.crop must be"),
        ("data.crop=(64,64,64)", "data.crop must be"),
        ("model.name=hpunett", "model.name must be"),
        ("evaluation.min_region=9", "does not set evaluation.min_region"),
        ("training.steps=0,10", "training.steps must be an integer from 1"),
    ],
)
def test_what_a_field_cannot_hold_is_refused_by_name(config, setting, message):
    with pytest.raises(ValueError, match=message):
        grid([setting], config)


def test_a_field_given_twice_is_refused(config):
    with pytest.raises(ValueError, match=r"gives training\.seed twice"):
        grid(["training.seed=0", "training.seed=1"], config)


def test_a_point_that_cannot_be_run_is_named(config):
    points = grid(["model.num_scales=8,3"], config)
    with pytest.raises(ValueError, match="the run num_scales=3: "):
        configs_of(config, points)
    assert configs_of(config, points[:1])["num_scales=8"] == config


def test_two_points_that_are_the_same_run_are_refused(config):
    with pytest.raises(ValueError, match="the sweep has seed=1 twice"):
        configs_of(config, [{"training.seed": 1}, {"training.seed": 1}])


def test_fields_that_end_alike_are_called_by_their_whole_names():
    points = grid(["data.name=a/b", "model.name=hpunet"], cityscapes_hpunet.get_config())
    assert names_of(points) == ["data.name=a%2fb,model.name=hpunet"]


def test_long_names_are_cut_and_stay_different():
    points = [{f"x.{'field' * 50}": value} for value in (1, 2)]
    first, second = names_of(points)
    assert first != second
    assert len(first) < 200


SWEEP = """
from configs import demo
def get_config():
    return demo.get_config()
def get_sweep():
    for kappa, steps in ((0.02, 100), (0.05, 200)):
        yield {"objective.kappa": kappa, "training.steps": steps, "data.crop": [64, 64]}
"""


def test_a_config_file_says_what_a_grid_cannot(tmp_path, config):
    file = tmp_path / "own.py"
    file.write_text(SWEEP)
    points = load_sweep(str(file))
    assert points[1] == {"objective.kappa": 0.05, "training.steps": 200, "data.crop": (64, 64)}
    both = crossed(points, grid(["training.seed=0:2"], config))
    assert [point["training.seed"] for point in both] == [0, 1, 0, 1]
    assert load_sweep("configs/demo.py") is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 1 / 0", "line 2: ZeroDivisionError"),
        ("return [1]", "must return what each run overrides"),
        ("return {'training.seed': 1}", "must return what each run overrides"),
        ("return []", "returns no runs"),
    ],
)
def test_a_sweep_that_cannot_be_read_is_told_with_its_place(tmp_path, body, message):
    file = tmp_path / "own.py"
    file.write_text(f"def get_sweep():\n    {body}\n")
    with pytest.raises(ValueError, match=message):
        load_sweep(str(file))
