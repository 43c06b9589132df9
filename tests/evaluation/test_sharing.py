"""An evaluation in parts is that of the whole."""

import numpy as np
import pytest

from hpunet_jax.evaluation.scores import Scores
from hpunet_jax.evaluation.sharing import NUMBER, Parts, joined
from hpunet_jax.metrics.average_precision import Detections
from hpunet_jax.metrics.calibration import Levels


@pytest.mark.parametrize(
    ("sizes", "count"), [((2, 2, 1), 2), ((4,) * 7, 3), ((3,), 4), ((1,) * 5, 5)]
)
def test_parts_follow_each_other_with_the_numbers_of_their_images(sizes, count):
    batches = [{"image": np.zeros((size, 2))} for size in sizes]
    parts = Parts(len(sizes), count)
    numbers = [
        [number for batch in parts.batches(batches, part) for number in batch[NUMBER].tolist()]
        for part in range(count)
    ]
    assert [number for of_part in numbers for number in of_part] == list(range(sum(sizes)))
    assert [bool(of_part) for of_part in numbers] == [i < parts.filled for i in range(count)]


def scores_of(images: slice) -> Scores:
    values = np.arange(5.0)[images]
    found = np.repeat(np.arange(len(values)), 2)  # two detections in each image
    scores = np.repeat(values, 2)
    outcome = np.ones((len(scores), 10), np.int8)
    detections = Detections(found, scores, outcome, np.full(len(values), 2))
    return Scores(
        {"model": {"ged2": values}},
        values > 2,
        {"seed": 0},
        {"model": detections},
        {1: {"model": {"ged2": -values}}},
        {16: {"ged2": 2 * values}},
        {"model": Levels(np.tile(values[:, None, None], (1, 2, 3)), np.zeros((len(values), 2, 3)))},
    )


def test_joined_parts_are_the_whole(tmp_path):
    whole = scores_of(slice(None))
    parts = joined([scores_of(slice(0, 2)), scores_of(slice(2, 4)), scores_of(slice(4, 5))])
    whole.save(tmp_path / "whole.npz")
    parts.save(tmp_path / "parts.npz")
    with np.load(tmp_path / "whole.npz") as a, np.load(tmp_path / "parts.npz") as b:
        assert a.files == b.files
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name])
