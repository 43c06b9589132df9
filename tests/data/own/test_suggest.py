import math
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from configs import own_data
from hpunet_jax.config import check_config, load_config
from hpunet_jax.data.own.suggest import Facts, Machine, choose_window, look_over, suggest

ROOT = pathlib.Path(__file__).parents[3]
CPU, GPU = Machine("cpu", 16 * 2**30), Machine("gpu", 16 * 2**30)


def facts(size=(605, 700), **changes):
    known = {"images": {"train": 10, "test": 10}, "sizes": (size,) * 10, "channels": 3}
    known |= {"num_classes": 2, "num_graders": 2, "border": 0.06}
    return Facts(**(known | changes))


def chosen(of, machine=CPU):
    return {choice.field: choice.value for choice in suggest(of, machine)}


@pytest.mark.parametrize("machine", [CPU, GPU])
@pytest.mark.parametrize(
    "size", [(605, 700), (128, 128), (120, 130), (20, 400), (16, 16), (5000, 90)]
)
@pytest.mark.parametrize("num_graders", [0, 1, 4])
def test_what_is_chosen_is_a_config_that_fits_itself(size, machine, num_graders):
    config = own_data.get_config().unlock()
    of = facts(size, num_graders=num_graders)
    for choice in suggest(of, machine):
        config.update_from_flattened_dict({choice.field: choice.value})
        assert choice.reason
    check_config(config)
    crop, multiple = config.data.crop, 2 ** (config.model.num_scales - 1)
    grid = sorted(side // multiple for side in crop)
    larger = any(np.greater(size, crop))
    assert (1, 1) <= tuple(grid) <= (2, 4)
    assert grid[1] <= 2 * grid[0]
    assert grid[0] == 1 + larger or config.model.num_scales == 8
    assert max(crop) <= 256
    protocol = "graders" if num_graders else "instances"
    assert config.evaluation.protocol == protocol


def test_crops_fit_the_images():
    assert chosen(facts())["data.crop"] == (128, 128)
    assert chosen(facts(), GPU)["data.crop"] == (256, 256)
    assert chosen(facts((120, 125)))["data.crop"] == (128, 128)  # padded a little
    assert chosen(facts((100, 100)))["data.crop"] == (64, 64)
    assert chosen(facts((40, 400)))["data.crop"] == (32, 64)
    assert "padded" in suggest(facts((120, 125)), CPU)[0].reason


def test_a_batch_fits_into_memory():
    batches = [
        chosen(facts(), Machine("gpu", gib * 2**30))["training.batch_size"] for gib in (1, 4, 8, 80)
    ]
    assert batches == sorted(batches)
    assert batches[0] < batches[-1] == 32
    wide = facts((2000, 2000))
    assert chosen(wide, Machine("gpu", 2**30))["training.batch_size"] >= 1


def test_the_worst_pixels_are_about_those_at_borders():
    assert chosen(facts(border=0.06), GPU)["objective.top_k"] == pytest.approx(0.07)
    assert chosen(facts(border=0.0001), GPU)["objective.top_k"] == 0.02
    assert chosen(facts(border=0.6), GPU)["objective.top_k"] == 0.2


def test_in_a_short_training_a_nat_of_the_latents_is_worth_some_pixels_at_borders():
    thin = chosen(facts(border=0.05))  # of 128x128 crops, 819 pixels
    assert thin["objective.name"] == "elbo"
    assert thin["objective.beta"] == round(819 / 80)
    assert chosen(facts(border=0.0001))["objective.beta"] == 1
    assert "objective.beta" not in chosen(facts(), GPU)
    assert "objective.beta" not in chosen(facts(num_graders=0))


def test_without_a_test_split_another_is_scored():
    assert "evaluation.split" not in chosen(facts())
    only = facts(images={"train": 3, "validation": 2, "test": 0})
    assert chosen(only)["evaluation.split"] == "validation"
    assert chosen(facts(images={"train": 3}))["evaluation.split"] == "train"


def test_the_share_of_borders_is_counted_in_pixels_that_count():
    masks = np.zeros((1, 6, 8, 2), np.uint8)
    masks[0, :, 4:, 0] = 1  # 12 of 48 pixels beside the border
    masks[0, :, :, 1] = 255  # a grader who did not annotate the image
    image = np.zeros((1, 6, 8, 3), np.uint8)
    found = look_over([{"image": image, "masks": masks}], {"train": 1}, 2, 2)
    assert math.isclose(found.border, 0.25)
    assert (found.sizes, found.channels) == (((6, 8),), 3)
    of_ids = look_over(
        [{"image": image, "instances": masks[..., 0].astype(np.uint16)}], {"train": 1}, 1, 0
    )
    assert (of_ids.border, of_ids.num_graders) == (0.25, 0)


def test_init_writes_a_config_that_trains_as_it_is_and_overwrites_none(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "my data"
    for part in ("train", "test"):
        for number in range(2):
            for name, pixels in (
                (f"images/{number}.png", rng.integers(0, 256, (40, 50, 3)).astype(np.uint8)),
                (f"gt/{number}_l0.png", 255 * np.eye(40, 50, dtype=np.uint8)),
                (f"gt/{number}_l1.png", np.zeros((40, 50), np.uint8)),
            ):
                (folder / part / name).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(folder / part / name)

    def init():
        return subprocess.run(
            [sys.executable, "-m", "experiments.init", f"--dir={folder}"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    first = init()
    assert first.returncode == 0, first.stderr
    assert "data.foreground = 255" in first.stdout
    assert "hpunet train --config=my_data.py" in first.stdout
    file = tmp_path / "my_data.py"
    config = load_config(str(file))
    check_config(config)
    assert (config.data.dir, config.data.foreground) == (str(folder), 255)
    assert (config.data.crop, config.model.image_channels) == ((32, 32), 3)
    lines = file.read_text(encoding="utf-8").splitlines()
    assert max(len(line) for line in lines if "data.dir" not in line) <= 100
    before = file.read_bytes()
    again = init()
    assert again.returncode == 1
    assert "my_data.py is there already, and is not overwritten" in again.stderr
    assert file.read_bytes() == before


def test_a_ct_gets_a_window_in_hounsfield_units_and_other_volumes_percentiles():
    assert choose_window((-1024.0, 3071.0))[:2] == ("data.window", (-1000.0, 1000.0))
    assert choose_window((0.0, 1812.5))[:2] == ("data.percentiles", (0.5, 99.5))
    assert choose_window((-0.3, 1.2))[:2] == ("data.percentiles", (0.5, 99.5))
