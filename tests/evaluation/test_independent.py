import numpy as np

from hpunet_jax.evaluation.independent import independent_pixels


def test_independent_pixels_follow_their_marginal_and_nothing_else():
    marginal = np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    marginal = np.broadcast_to(marginal[None, :, None], (2, 3, 40, 3))
    labels = independent_pixels(marginal, 500, [0, 0])
    assert labels.shape == (500, 2, 3, 40)
    for label in range(3):
        frequency = (labels == label).mean(axis=(0, 1, 3))
        np.testing.assert_allclose(frequency, marginal[0, :, 0, label], atol=0.01)
    neighbours = np.corrcoef(labels[:, 0, 0, :2].T)[0, 1]
    assert abs(neighbours) < 0.15


def test_independent_pixels_do_not_depend_on_the_batches():
    marginal = np.random.default_rng(0).dirichlet([1, 1], (4, 5, 5))
    together = independent_pixels(marginal, 3, [7, 10])
    alone = independent_pixels(marginal[2:], 3, [7, 12])
    np.testing.assert_array_equal(together[:, 2:], alone)
