"""The command `hpunet`, and configs by name."""

import pathlib

import pytest

from experiments import shipped
from hpunet_jax import command

ROOT = pathlib.Path(__file__).parents[1]


def test_help_has_a_line_for_every_program(capsys):
    command.main(["--help"])
    printed = capsys.readouterr().out
    programs = {
        path.stem
        for path in (ROOT / "experiments").glob("*.py")
        if "program.run(main" in path.read_text()
    }
    lines = {line.split()[0]: line for line in printed.splitlines() if line.startswith("  ")}
    assert set(lines) == programs
    assert all(line.endswith(".") or ";" in line for line in lines.values())


@pytest.mark.parametrize(("name", "nearest"), [("trian", "train"), ("Evaluate", "evaluate")])
def test_an_unknown_program_ends_with_the_nearest_name(name, nearest):
    with pytest.raises(SystemExit, match=f"no program '{name}'. Did you mean '{nearest}'"):
        command.main([name, "--workdir=x"])


def test_configs_are_known_by_name_and_by_file(tmp_path):
    own = tmp_path / "mine.py"
    own.touch()
    lidc = f"{ROOT / 'configs' / 'lidc_hpunet.py'}"
    assert shipped.config_file("lidc_hpunet") == lidc
    assert shipped.config_file("configs/lidc_hpunet.py") in (lidc, "configs/lidc_hpunet.py")
    assert shipped.config_file("demo:lidc_spunet").endswith("configs/demo.py:lidc_spunet")
    assert shipped.config_file(f"{own}") == f"{own}"
    given = ["hpunet train", "--config", "demo", "--config=lidc_hpunet", "--config.training.seed=3"]
    assert shipped.with_files(given) == [
        "hpunet train",
        "--config",
        f"{ROOT / 'configs' / 'demo.py'}",
        f"--config={lidc}",
        "--config.training.seed=3",
    ]


def test_an_unknown_config_is_answered_with_the_nearest_name(tmp_path):
    with pytest.raises(ValueError, match="Did you mean lidc_hpunet"):
        shipped.config_file("lidc_hpnet")
    with pytest.raises(ValueError, match="there is no file"):
        shipped.config_file(f"{tmp_path}/nothing.py")
