import hypothesis
import hypothesis.strategies as st
import jax
import ml_collections
import numpy as np
import pytest

from hpunet_jax.evaluation import graders
from hpunet_jax.inference import Model
from hpunet_jax.inference.tiles import plan_tiles
from hpunet_jax.inference.whole import draw_whole, reconstruct_whole
from hpunet_jax.networks import build_network

REACH = 24  # pixels beyond which a pixel of the image cannot change a pixel of the result


@pytest.fixture(scope="module")
def model():
    """Three scales, so that what a pixel sees ends within a tile; latents that matter."""
    config = {"name": "hpunet", "image_channels": 1, "num_classes": 2, "num_scales": 3}
    config |= {"base_channels": 4, "latent_dims": (2, 1), "blocks_per_scale": 1}
    network = build_network(ml_collections.ConfigDict({**config, "convs_per_block": 1}))
    params = network.init(jax.random.key(0))
    for name, module in params.items():
        if name.startswith("prior/latent"):
            module["w"] = 3 * module["w"]
    return Model(network, params, ml_collections.ConfigDict({"model": config}))


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (96, 192, 1)).astype(np.uint8)


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(
    size=st.tuples(st.integers(1, 3000), st.integers(1, 300)),
    multiple=st.sampled_from([1, 4, 32]),
    greatest=st.tuples(st.integers(1, 800), st.integers(1, 800)),
)
def test_every_pixel_is_kept_by_one_tile_of_the_latent_grid(size, multiple, greatest):
    plan = plan_tiles(size, multiple, greatest)
    kept = np.zeros(plan.size, int)
    for tile in plan.tiles:
        kept[tile.kept] += 1
        for axis in (0, 1):
            seen, part, inside = tile.seen[axis], tile.kept[axis], tile.inside[axis]
            assert seen.start % multiple == plan.tile[axis] % multiple == 0
            assert 0 <= seen.start < seen.stop <= plan.size[axis]
            assert seen.stop - seen.start == plan.tile[axis]
            assert (seen.start + inside.start, seen.start + inside.stop) == (part.start, part.stop)
            assert plan.tile[axis] <= max(greatest[axis], multiple)
    assert (kept == 1).all()
    assert all(p >= n for p, n in zip(plan.size, size, strict=True))


def test_few_sizes_are_compiled():
    sides = {plan_tiles((n, n), 16, (1024, 1024)).size[0] for n in range(1, 1025)}
    assert sorted(sides) == [
        16 * n for n in (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64)
    ]
    assert plan_tiles((605, 700), 64).size == (640, 768)
    assert plan_tiles((1000, 1000), 16, (1000, 1000)).size == (1008, 1008)


def test_an_image_that_fits_has_the_samples_of_the_model(model, image):
    drawn = draw_whole(model, image, 3, seed=5, image_id=7)
    expected = model.sample(image[None], 3, seed=5, probabilities=True, image_ids=[7])
    np.testing.assert_allclose(drawn.marginal, expected.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(drawn.first, expected[0], atol=1e-6)
    assert (drawn.labels != expected.argmax(axis=-1)).mean() < 1e-3
    still = draw_whole(model, image, 2, seed=5, scales=[])
    np.testing.assert_array_equal(still.labels[0], still.labels[1])


def test_tiles_give_the_whole_image_away_from_their_borders(model, image):
    whole = draw_whole(model, image, 3, seed=1)
    tiled = draw_whole(model, image, 3, seed=1, tile=(96, 80))
    plan = plan_tiles(image.shape[:2], 4, (96, 80))
    assert len(plan.tiles) > 2
    compared = np.zeros(image.shape[:2], bool)
    for tile in plan.tiles:
        (rows, columns), (_, kept) = tile.seen, tile.kept
        left = columns.start + REACH * (columns.start > 0)
        right = columns.stop - REACH * (columns.stop < image.shape[1])
        compared[rows, max(left, kept.start) : min(right, kept.stop)] = True
    assert 0.4 < compared.mean() < 1
    difference = np.abs(whole.marginal - tiled.marginal)[0].max(axis=-1)
    assert difference[compared].max() < 1e-5
    assert difference.max() > 1e-5  # at seams tiles do not see as far
    assert np.abs(whole.first - tiled.first)[0, compared].max() < 1e-5


def test_a_hypothesis_stays_one_across_tiles(model, image):
    """At the seams, tiles agree with the whole image far more than two samples agree."""
    whole = draw_whole(model, image, 4, seed=1).labels[:, 0]
    tiled = draw_whole(model, image, 4, seed=1, tile=(96, 80)).labels[:, 0]
    seams = [tile.kept[1].start for tile in plan_tiles((96, 192), 4, (96, 80)).tiles[1:]]
    near = np.concatenate([np.arange(s - 8, s + 8) for s in seams])
    same = (whole == tiled)[..., near].mean()
    other = (whole == np.roll(tiled, 1, axis=0))[..., near].mean()
    assert same > 0.98 > other


def test_reconstructions_of_tiles_are_those_of_the_whole_image(model, image):
    labels = (np.random.default_rng(1).random(image.shape[:2]) < 0.5).astype(np.uint8)
    expected = model.reconstruct(image[None], labels[None])[0]
    np.testing.assert_array_equal(reconstruct_whole(model, image, labels), expected)
    tiled = reconstruct_whole(model, image, labels, tile=(96, 80))
    assert (tiled == expected).mean() > 0.97


@pytest.mark.parametrize("size", [(1, 1), (7, 30), (97, 5)])
def test_images_of_any_size_are_sampled(model, size):
    image = np.random.default_rng(2).random((*size, 1)).astype(np.float32)
    drawn = draw_whole(model, image, 2, tile=(32, 32))
    assert drawn.labels.shape == (2, 1, *size)
    assert drawn.marginal.shape == (1, *size, 2)
    assert reconstruct_whole(model, image, np.zeros(size, np.uint8), tile=(32, 32)).shape == size


def test_global_latents_are_the_same_for_every_tile():
    config = {"name": "spunet", "image_channels": 1, "num_classes": 2, "num_scales": 2}
    network = build_network(ml_collections.ConfigDict({**config, "base_channels": 4}))
    model = Model(network, network.init(jax.random.key(0)), ml_collections.ConfigDict())
    flat = np.full((40, 24, 1), 0.5, np.float32)
    drawn = draw_whole(model, flat, 3, tile=(24, 24))
    middle = drawn.first[0, 12:28, 12]
    np.testing.assert_allclose(middle, np.broadcast_to(middle[:1], middle.shape), atol=2e-4)


def test_whole_images_of_several_sizes_are_scored_one_by_one(model):
    rng = np.random.default_rng(3)
    sizes = [(20, 24), (33, 16), (20, 24)]
    data = [
        {
            "image": rng.integers(0, 256, (1, *size, 1)).astype(np.uint8),
            "masks": rng.integers(0, 2, (1, *size, 2)).astype(np.uint8),
        }
        for size in sizes
    ]
    frequencies = graders.class_frequencies(data, crop=None, num_classes=2)
    zeros = sum((one["masks"] == 0).sum() for one in data)
    np.testing.assert_allclose(frequencies[0, 0, 0], zeros / sum(one["masks"].size for one in data))
    options = {"crop": None, "num_samples": 4, "training_frequencies": frequencies}
    scores = graders.evaluate(model, data, **options)
    assert scores.settings["tile"] == [1024, 1024]
    for row, metrics in scores.rows.items():
        assert np.isfinite(metrics["ged2"]).all(), row
    alone = graders.evaluate(model, data[:2], **options)
    for metric, values in scores.rows["model"].items():
        np.testing.assert_allclose(alone.rows["model"][metric], values[:2], err_msg=metric)
