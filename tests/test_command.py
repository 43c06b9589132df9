"""The command `hpunet`, and configs by name."""

import contextlib
import os
import pathlib
import signal
import time

import pytest

from experiments import program, shipped
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


def test_sigterm_ends_a_program_in_a_sentence_also_where_its_error_is_lost(monkeypatch, capsys):
    kept = {kind: signal.getsignal(kind) for kind in (signal.SIGTERM, signal.SIGALRM)}
    monkeypatch.setattr(program, "_STOP_AGAIN", 0.05)

    def main(_):
        program.heed_sigterm()
        with contextlib.suppress(KeyboardInterrupt):  # as Python does in callbacks
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        time.sleep(1)

    monkeypatch.setattr(program.app, "run", lambda guarded, **_: guarded(["name"]))
    monkeypatch.setattr(program, "use_cache", lambda _: None)
    monkeypatch.setattr(program, "set_xla_flags", lambda: None)
    monkeypatch.setattr(program.threading, "excepthook", program.threading.excepthook)
    program.flags.FLAGS.mark_as_parsed()  # whatever programs other tests have imported
    try:
        with pytest.raises(SystemExit) as ended:
            program.run(main, ["name"])
    finally:
        for kind, handler in kept.items():
            signal.signal(kind, handler)
    assert ended.value.code == 143
    assert capsys.readouterr().err == "\nstopped by SIGTERM\n"


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
