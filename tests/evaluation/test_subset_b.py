"""What the benchmark of subset B says of samples some of which are empty."""

import numpy as np
import pytest

from benchmarks.subset_b import measure, without_empty


def test_empty_samples_cost_what_they_are_and_nothing_where_they_are_left_out():
    masks = np.zeros((4, 2, 8, 8), np.uint8)
    masks[:, :, 2:6, 2:6] = 1  # all graders agree
    samples = np.zeros((8, 2, 8, 8), np.uint8)
    samples[::2, 0, 2:6, 2:6] = 1  # of the first image every second sample is empty
    samples[0, 1, 2:6, 2:6] = 1  # of the second all but one: it is not scored
    assert len(without_empty(samples[:, 0])) == 4

    images, rows = measure(samples, masks, num_samples=4)
    assert images == 1
    assert rows["all"]["samples"]["hungarian_iou"] == 0.5
    assert rows["all"]["samples"]["ged2"] == 2 * 0.5 - 0.5  # half of the pairs differ entirely
    told = rows["not empty"]
    for row in ("samples", "thresholded mean", "independent pixels", "one grader"):
        assert told[row] == {"ged2": 0.0, "hungarian_iou": 1.0}
    with pytest.raises(ValueError, match="no image has 5 samples that are not empty"):
        measure(samples, masks, num_samples=5)
