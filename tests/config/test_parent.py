"""The config that another is derived from."""

import pathlib

import pytest

from hpunet_jax.config import differences, load_config, parent_config
from hpunet_jax.training.summary import differences_summary

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize(
    ("path", "parent"),
    [
        ("lidc_hpunet.py", None),
        ("lidc_no_top_k.py", "lidc_hpunet"),
        ("own_data.py", "lidc_hpunet"),
        ("lidc_unet.py", "lidc_hpunet"),
        ("demo.py", "lidc_hpunet"),
        ("demo.py:lidc_spunet", "lidc_spunet"),
        ("demo_neurites.py", "snemi3d_hpunet"),
        ("nothing.py", None),
    ],
)
def test_the_parent_is_the_config_that_a_file_begins_with(path, parent):
    found = parent_config(str(CONFIGS / path))
    assert (found and found.name) == parent


def test_the_differences_from_it_are_told_field_by_field():
    parent = parent_config(str(CONFIGS / "lidc_no_top_k.py"))
    config = load_config(str(CONFIGS / "lidc_no_top_k.py"))
    text = differences_summary(parent.name, parent.config, config)
    changed = differences(parent.config, config)
    assert "objective.top_k" in changed
    assert text.startswith(f"differs from lidc_hpunet in {len(changed)} field(s):")
    assert "0.02 -> 1.0" in text
    assert differences_summary("x", config, config) == "the same as x"
