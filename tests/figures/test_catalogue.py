"""Which images the paper's figures show."""

import numpy as np
import pytest

from hpunet_jax.figures.catalogue import FIGURES, Picture, choose_examples

SCORES = {"rand_error": np.array([0.1, np.nan, 0.9, 0.2, 0.9]), "ged2": np.arange(5.0)}


def test_every_figure_of_the_paper_but_the_drawing_of_the_network_is_there():
    of_paper = [name for name in FIGURES if not name.endswith("_vnc")]
    assert of_paper == [f"fig{number}" for number in range(2, 16)]


def test_examples_are_spread_over_the_images_the_same_for_every_model():
    assert choose_examples({"ged2": np.zeros(100)}, Picture("a", "samples.png", 2)) == [25, 75]
    assert choose_examples(SCORES, Picture("b", "samples.png", 8)) == [0, 1, 2, 3, 4]


def test_the_hardest_images_are_those_of_the_highest_rand_error():
    picture = Picture("a", "instances.png", 3, worst="rand_error")
    assert choose_examples(SCORES, picture) == [2, 4, 3]
    with pytest.raises(ValueError, match=r"highest rand_error, but .* scored by ged2 only"):
        choose_examples({"ged2": SCORES["ged2"]}, picture)
