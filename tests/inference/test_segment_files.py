"""The table of instances: of all images in the folder, and never in place of a user's file."""

import csv
import os
import pathlib
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from hpunet_jax.inference.segment import Segmenter
from hpunet_jax.inference.segment_files import COLUMNS, check_table, write_instances, write_table
from hpunet_jax.instances.scores import InstanceTable
from hpunet_jax.io import read_slices
from hpunet_jax.scoring.confidence import read_confidences

ROOT = pathlib.Path(__file__).parents[2]


class LeftHalf(Segmenter):
    """Takes the left half of an image for an instance."""

    def __init__(self):
        pass

    def __call__(self, image):
        instances = np.zeros(image.shape[:2], np.uint16)
        instances[:, : image.shape[1] // 2] = 1
        one = np.ones(1)
        table = InstanceTable(np.array([1]), np.array([32]), np.array([[0, 0, 4, 8]]), one, one)
        return SimpleNamespace(instances=instances, table=table)


def segmented(path, out, name):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    write_instances(LeftHalf(), read_slices(path), out, name, {})


def images_of(table):
    with table.open(newline="") as file:
        return [row["image"] for row in csv.DictReader(file)]


def test_the_table_keeps_the_rows_of_earlier_calls(tmp_path):
    out = tmp_path / "out"
    segmented(tmp_path / "a.png", out, "a")
    assert images_of(write_table(out)) == ["a.png"]
    segmented(tmp_path / "b.png", out, "b")
    (out / "users_instances.json").write_text('{"rows": 3}')
    check_table(out)
    assert images_of(write_table(out)) == ["a.png", "b.png"]
    (out / "a_instances.png").unlink()  # and with it what the rows are of
    assert images_of(write_table(out)) == ["b.png"]


def test_names_that_are_no_utf_8_keep_their_bytes_in_the_table_and_in_its_reader(tmp_path):
    name, out = os.fsdecode(b"caf\xe9"), tmp_path / "out"
    segmented(tmp_path / f"{name}.png", out, name)
    assert b"\ncaf\xe9.png,0,1," in write_table(out).read_bytes()
    assert read_confidences(out).of == {name: {(0, 1): 1.0}}


def test_a_table_of_the_users_own_is_refused_before_any_work(tmp_path):
    own = tmp_path / "out" / "instances.csv"
    own.parent.mkdir()
    own.write_text("cell;area\n1;20\n")
    with pytest.raises(ValueError, match=r"instances\.csv is not a table .*'cell;area'.* --out"):
        check_table(own.parent)
    command = [sys.executable, "-m", "experiments.segment", f"--out={own.parent}"]
    command += ["--checkpoint=none", f"--images={tmp_path / 'none.png'}"]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "instances.csv is not a table" in refused.stderr
    assert own.read_text() == "cell;area\n1;20\n"
    own.write_text(",".join(COLUMNS) + "\r\n")
    check_table(own.parent)


def test_a_series_in_the_working_folder_is_called_by_its_name(tmp_path, monkeypatch):
    folder = tmp_path / "series"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    slices = read_slices(tmp_path / "a.png", name=".")
    write_instances(LeftHalf(), slices, tmp_path / "out", "series", {})
    monkeypatch.chdir(tmp_path)
    assert images_of(write_table(tmp_path / "out")) == ["series"]
