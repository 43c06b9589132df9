import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hpunet_jax.instances import hamming_cluster, only_classes
from hpunet_jax.instances.clustering import Packing


def algorithm_1(labels, threshold, background, seed):
    """Algorithm 1 line by line, with pixels drawn by their places in the same random order."""
    num_samples, height, width = labels.shape
    num_classes = max(labels.max(), background or 0) + 1
    one_hot = np.eye(num_classes, dtype=int)
    vectors = np.concatenate([one_hot[sample.ravel()] for sample in labels], axis=1)
    order = np.random.default_rng(seed).permutation(height * width).tolist()
    instances = [-1] * (height * width)
    unassigned = set(range(height * width))
    cluster = 0 if background is not None else 1
    while unassigned:
        if cluster == 0:
            prototype = np.concatenate([one_hot[background]] * num_samples)
        else:
            drawn = next(pixel for pixel in order if pixel in unassigned)
            prototype = vectors[drawn]
            instances[drawn] = cluster
            unassigned.remove(drawn)
        for pixel in sorted(unassigned):
            if (vectors[pixel] != prototype).sum() <= threshold:
                instances[pixel] = cluster
                unassigned.remove(pixel)
        cluster += 1
    return np.array(instances).reshape(height, width)


@st.composite
def stacks(draw, greatest=5):
    """Samples in which regions take labels together, with some pixels disturbed."""
    shape = draw(st.tuples(st.integers(1, 8), st.integers(1, 6), st.integers(1, 6)))
    regions = draw(hnp.arrays(np.int64, shape[1:], elements=st.integers(0, 3)))
    label = st.integers(0, greatest)
    of_region = draw(hnp.arrays(np.int64, (shape[0], 4), elements=label))
    noise = draw(hnp.arrays(np.int64, shape, elements=label))
    disturbed = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 4))) == 0
    return np.where(disturbed, noise, of_region[:, regions]).astype(np.uint8)


@settings(max_examples=150, deadline=None)
@given(stacks(), st.integers(0, 12), st.sampled_from([None, 0, 2, 7]), st.integers(0, 99))
def test_equals_algorithm_1_line_by_line(labels, threshold, background, seed):
    result = hamming_cluster(labels, threshold, background, seed)
    assert result.dtype == np.int32
    np.testing.assert_array_equal(result, algorithm_1(labels, threshold, background, seed))


@pytest.mark.parametrize(("num_samples", "num_classes"), [(16, 16), (32, 6), (40, 23), (3, 1000)])
def test_equals_algorithm_1_where_labels_fill_several_words(num_samples, num_classes):
    rng = np.random.default_rng(0)
    truth = np.kron(rng.integers(0, 4, (4, 4)), np.ones((3, 3), int))
    labels = np.append(
        np.zeros((num_samples, 1), int), rng.integers(1, num_classes, (num_samples, 3)), 1
    )
    labels = labels[:, truth]
    disturbed = rng.random(labels.shape) < 0.2
    labels[disturbed] = rng.integers(0, num_classes, disturbed.sum())
    for threshold in (0, num_samples // 2, num_samples):
        result = hamming_cluster(labels, threshold, seed=3)
        np.testing.assert_array_equal(result, algorithm_1(labels, threshold, 0, 3))


def test_prototypes_are_drawn_uniformly_from_the_unassigned_pixels():
    labels = np.array([[[0, 1, 1, 1, 2, 3]]])
    first = np.array([hamming_cluster(labels, 0, seed=seed)[0] for seed in range(3000)])
    assert (first[:, 0] == 0).all()
    assert (first[:, 1] == 1).mean() == pytest.approx(3 / 5, abs=0.03)
    assert (first[:, 4] == 1).mean() == pytest.approx(1 / 5, abs=0.03)
    after_the_large = first[first[:, 1] == 1]
    assert (after_the_large[:, 4] == 2).mean() == pytest.approx(1 / 2, abs=0.04)


@settings(max_examples=60, deadline=None)
@given(stacks(), st.integers(0, 12), st.randoms(use_true_random=False))
def test_names_of_labels_do_not_matter_without_background(labels, threshold, random):
    renamed = np.stack([np.array(random.sample(range(6), 6))[sample] for sample in labels])
    np.testing.assert_array_equal(
        hamming_cluster(renamed, threshold, None), hamming_cluster(labels, threshold, None)
    )


@settings(max_examples=60, deadline=None)
@given(stacks(), st.sampled_from([None, 0]))
def test_at_threshold_zero_clusters_are_equal_samples(labels, background):
    clusters = hamming_cluster(labels, 0, background).ravel()
    codes = labels.reshape(len(labels), -1).T
    equal_codes = (codes[:, None] == codes[None]).all(axis=-1)
    np.testing.assert_array_equal(clusters[:, None] == clusters[None], equal_codes)
    if background is not None:
        np.testing.assert_array_equal(clusters == 0, (codes == 0).all(axis=1))


@settings(max_examples=60, deadline=None)
@given(stacks(), st.integers(0, 12), st.sampled_from([None, 0]))
def test_every_pixel_is_near_to_some_pixel_of_its_cluster_and_ids_have_no_gaps(
    labels, threshold, background
):
    clusters = hamming_cluster(labels, threshold, background).ravel()
    codes = labels.reshape(len(labels), -1).T
    ids = np.unique(clusters)
    np.testing.assert_array_equal(ids[ids > 0], 1 + np.arange((ids > 0).sum()))
    for cluster in ids[ids > 0]:
        members = codes[clusters == cluster]
        distances = 2 * (members[:, None] != members[None]).sum(axis=-1)
        assert (distances.max(axis=1) <= threshold).any()  # that of the prototype
    if background is not None:
        near = 2 * (codes != background).sum(axis=1) <= threshold
        np.testing.assert_array_equal(clusters == 0, near)


@settings(max_examples=30, deadline=None)
@given(stacks(), st.sampled_from([None, 0]))
def test_at_twice_the_number_of_samples_everything_is_one_cluster(labels, background):
    clusters = hamming_cluster(labels, 2 * len(labels), background)
    assert (clusters == (background is None)).all()


def test_a_seed_gives_the_same_clusters_again():
    labels = np.random.default_rng(0).integers(0, 3, (6, 12, 12))
    first, again, other = (hamming_cluster(labels, 4, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (hamming_cluster(labels, 4, seed=[1, 7]) != first).any()


def test_objects_that_share_a_label_in_some_samples_are_told_apart():
    truth = np.kron([[0, 1, 1], [2, 0, 3]], np.ones((4, 4), int))
    rng = np.random.default_rng(5)
    labels = np.stack([np.append(0, rng.integers(1, 4, 3))[truth] for _ in range(16)])
    clusters = hamming_cluster(labels, 8)
    pairs = np.unique(np.stack([truth.ravel(), clusters.ravel()]), axis=1)
    assert pairs.shape[1] == 4
    assert clusters[truth == 0].max() == 0


def test_an_all_background_image_has_no_cluster():
    assert not hamming_cluster(np.full((16, 8, 8), 3), 16, background=3).any()
    assert (hamming_cluster(np.zeros((16, 8, 8), int), 16, background=None) == 1).all()


def test_an_image_without_pixels_has_none():
    assert hamming_cluster(np.zeros((3, 0, 5), int), 0).shape == (0, 5)


def test_no_array_of_pixels_by_samples_by_classes_is_built():
    import tracemalloc

    labels = np.zeros((32, 128, 256), np.uint8)
    labels[:, 20:60, 30:90] = np.arange(32)[:, None, None] % 5 + 1
    tracemalloc.start()
    hamming_cluster(labels, 32)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * labels.nbytes  # as one-hot vectors of bytes, it would be six times


@pytest.mark.parametrize("bits", [1, 3, 5, 16, 64])
def test_differences_are_counted_in_the_packed_words(bits):
    rng = np.random.default_rng(bits)
    labels = rng.integers(0, 1 << bits, (10, 200), np.uint64)
    labels[:, 100:] = labels[:, :1]
    labels[2, 100:] ^= np.uint64(1 << (bits - 1))
    packing = Packing(bits, 10)
    words = packing.pack(labels)
    counted = packing.count_differences(words, words[:, :1])
    np.testing.assert_array_equal(counted, (labels != labels[:, :1]).sum(axis=0))


def test_all_classes_but_those_of_instances_become_background():
    labels = np.array([[0, 12, 13, 17, 18, 255]], np.uint8)
    result = only_classes(labels, range(13, 18))
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, [[0, 0, 13, 17, 0, 0]])


@pytest.mark.parametrize(
    ("labels", "options", "sentence"),
    [
        ([np.zeros((4, 4), int), np.zeros((4, 5), int)], {}, r"\(4, 4\) and \(4, 5\)"),
        ([], {}, "shapes of the samples are none"),
        (np.zeros((4, 4), int), {}, "stack of samples of one size"),
        (np.zeros((2, 4, 4)), {}, "labels are float64: expected integers"),
        (np.full((2, 4, 4), -1), {}, "go down to -1"),
        (np.broadcast_to(np.uint8(0), (1, 1 << 16, 1 << 15)), {}, "more clusters than int32"),
        (np.zeros((2, 4, 4), int), {"threshold": -1}, "threshold must be .* not -1"),
        (np.zeros((2, 4, 4), int), {"threshold": 1.5}, "threshold must be an integer"),
        (np.zeros((2, 4, 4), int), {"background": -3}, "background must be .* not -3"),
    ],
)
def test_stacks_that_cannot_be_clustered_are_named(labels, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        hamming_cluster(labels, **{"threshold": 2, **options})
