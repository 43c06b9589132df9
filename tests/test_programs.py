"""How programs end on flags that make no sense: with one sentence, and not with 0."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest
from absl import flags

from configs import demo
from experiments import program
from experiments.run_config import with_config_of_run
from hpunet_jax.checkpoints import Checkpoints
from hpunet_jax.memory import out_of_memory

ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--config=configs/demo.py", "--config.training.stepz=3"], "did you mean training.steps?"),
        (["--config=configs/demo.py:lidc_huge"], "No module named 'configs.lidc_huge'"),
    ],
)
def test_a_wrong_config_ends_a_program_with_one_sentence(tmp_path, flags, message):
    run = subprocess.run(
        [sys.executable, "-m", "experiments.train", f"--workdir={tmp_path / 'run'}", *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("address", ["file:///tmp/run", "az://container/run"])
def test_a_flag_or_field_with_an_unknown_scheme_is_refused(address):
    with pytest.raises(ValueError, match=f"--workdir={address} has the scheme"):
        program.check_addresses({"steps": 3, "names": ["a"], "workdir": address})
    config = demo.get_config().unlock()
    config.data.dir = address
    with pytest.raises(ValueError, match=r"--config\.data\.dir=.* has the scheme"):
        program.check_addresses({"config": config})


def test_runs_and_results_may_lie_in_buckets_but_not_data():
    address = "s3://bucket/run"
    program.check_addresses({"workdir": address, "out": address, "checkpoint": address})
    for flag in ("images", "data_dir"):
        with pytest.raises(ValueError, match=f"--{flag}={address} is in a bucket, but must be"):
            program.check_addresses({flag: address})


def test_a_default_config_is_one_that_no_other_replaces():
    given = ["import_tf1", "--workdir=x", "--config.data.name=y"]
    first, config, *rest = program.with_default_config(given, "lidc_hpunet")
    assert [first, *rest] == given
    assert config == "--config=lidc_hpunet"
    for other in ("--config=demo", "-config=demo", "--config"):
        assert program.with_default_config([*given, other], "x") == [*given, other]


def test_the_config_of_another_programs_flags_is_what_that_program_will_read():
    config = program.config_of(["--config=demo", "--config.data.crop=128,64"])
    assert (config.data.crop, config.training.seed) == ((128, 64), demo.get_config().training.seed)
    with pytest.raises(ValueError, match=r"seed must be an integer from 0 .*, not 'x'"):
        program.config_of(["--config=demo", "--config.training.seed=x"])
    with pytest.raises(ValueError, match=r"did you mean training.steps"):
        program.config_of(["--config=demo", "--config.training.stepz=1"])


def test_a_run_goes_on_with_its_own_config_unless_another_is_given(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {"w": np.ones(3)}, {"step": 1}, demo.get_config())
    workdir = f"--workdir={tmp_path}"
    first, config, *rest = with_config_of_run(["train", workdir, "--config.training.steps=3"])
    assert (first, rest) == ("train", [workdir, "--config.training.steps=3"])
    assert config.startswith("--config=")
    assert config.endswith(f"run_config.py:{tmp_path}")
    with pytest.raises(SystemExit, match=r"elsewhere holds no checkpoint .*: give the --config"):
        with_config_of_run(["train", "--workdir=elsewhere", "--config.training.steps=3"])
    with pytest.raises(SystemExit, match="has the scheme"):
        with_config_of_run(["train", "--workdir=az://container/run"])
    for given in (["--config=x", workdir], ["--config", "x", workdir], [workdir, "--help"]):
        assert with_config_of_run(["train", *given]) == ["train", *given]
    for file in (tmp_path / "checkpoints" / "1" / "config").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    with pytest.raises(SystemExit) as ended:
        with_config_of_run(["train", workdir])
    message = str(ended.value)
    assert "checkpoints/1 cannot be read: its 'config' is not what was written" in message
    assert message.endswith("There is no other checkpoint in this folder.")
    assert "run_config" not in message


def test_flags_that_are_missing_or_empty_are_asked_for():
    message = "\n".join(
        f"flag --{name}=None: Flag --{name} must have a value other than None."
        for name in ("config", "workdir")
    )
    assert program._in_our_words(message, None).startswith("--config and --workdir must be given;")
    assert program._in_our_words("another message", None) == "another message"
    values = flags.FlagValues()
    for name in ("workdir", "out"):
        flags.DEFINE_string(name, "", "A folder.", flag_values=values)
    values(["train", "--out=here"])
    program.check_not_empty(values)
    values(["train", "--workdir=", "--out=here"])
    with pytest.raises(ValueError, match="--workdir is empty"):
        program.check_not_empty(values)
    with pytest.raises(ValueError, match="--config is empty: give the name"):
        program.config_of(["--config="])
    with pytest.raises(ValueError, match=r"data.dir must be text that is not empty, not ''"):
        program.config_of(["--config=demo", "--config.data.dir="])


def test_what_is_no_folder_or_cannot_be_used_is_said_without_numbers(tmp_path):
    file = tmp_path / "file"
    file.touch()
    assert program.folder(str(tmp_path / "new"), "--workdir") == tmp_path / "new"
    with pytest.raises(ValueError, match=r"--workdir=.*file is a file: give a folder"):
        program.folder(str(file), "--workdir")
    with pytest.raises(OSError, match="Errno") as caught:
        (file / "below").mkdir()
    assert program.sentence_of(caught.value) == f"{file / 'below'}: Not a directory."
    assert program.sentence_of(ValueError("as it is")) == "as it is"


def test_a_device_without_enough_memory_is_answered_with_what_to_do():
    sentence = out_of_memory(
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.\nx")
    )
    assert "Out of memory allocating 9 bytes. Use a smaller batch" in sentence
    assert out_of_memory(RuntimeError("INTERNAL: no such thing")) is None
