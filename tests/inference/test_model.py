"""A loaded model: its samples, its reconstructions, and what it refuses."""

import functools
import gc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hpunet_jax
from hpunet_jax.checkpoints import write_model
from hpunet_jax.inference import programs
from hpunet_jax.inference.inputs import as_unit_images


@pytest.fixture
def model(tiny_sampler):
    return tiny_sampler


def test_samples_differ_and_more_of_them_keep_the_first(model, images):
    four = model.sample(images, num_samples=4)
    assert four.shape == (4, 3, 16, 24)
    assert four.dtype == np.uint8
    assert (four[0] != four[1]).any()
    np.testing.assert_array_equal(model.sample(images, num_samples=2), four[:2])
    np.testing.assert_array_equal(model.sample(images[:1], num_samples=2), four[:2, :1])
    assert (model.sample(images, num_samples=2, seed=1) != four[:2]).any()


def test_labels_are_the_most_probable_classes(model, images):
    probabilities = model.sample(images, num_samples=2, probabilities=True)
    assert probabilities.shape == (2, 3, 16, 24, 3)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_array_equal(model.sample(images, num_samples=2), probabilities.argmax(-1))


def test_without_sampled_scales_all_samples_are_the_prior_mean(model, images):
    samples = model.sample(images, num_samples=3, scales=[], probabilities=True)
    np.testing.assert_array_equal(samples[0], samples[1])
    network, params = model.network, model.params
    features = network.encode(params, jnp.asarray(as_unit_images(images)))
    expected = jax.nn.softmax(network.sample(params, features, None, mean=True).logits)
    np.testing.assert_allclose(samples[0], expected, atol=1e-6)


def test_each_scale_alone_moves_the_samples_and_all_are_the_default(model, images):
    everything = model.sample(images, num_samples=2, probabilities=True)
    both = model.sample(images, num_samples=2, scales=[0, 1], probabilities=True)
    np.testing.assert_array_equal(everything, both)
    for scale in (0, 1):
        alone = model.sample(images, num_samples=2, scales=[scale], probabilities=True)
        assert (alone[0] != alone[1]).any()
        assert (alone != everything).any()


def test_reconstructions_go_through_the_posterior_means(model, images):
    labels = np.random.default_rng(1).integers(0, 3, images.shape[:3])
    rebuilt = model.reconstruct(images, labels, probabilities=True)
    network, params = model.network, model.params
    outputs = network.train_outputs(
        params, None, jnp.asarray(as_unit_images(images)), jnp.asarray(labels), mean=True
    )
    np.testing.assert_allclose(rebuilt, jax.nn.softmax(outputs.logits), atol=1e-6)
    np.testing.assert_array_equal(model.reconstruct(images, labels), rebuilt.argmax(-1))


def test_integer_images_are_scaled_by_their_type(images):
    np.testing.assert_array_equal(as_unit_images(images), images / np.float32(255))
    sixteen = images.astype(np.uint16) * 257
    np.testing.assert_allclose(as_unit_images(sixteen), images / 255, atol=1e-7)
    np.testing.assert_array_equal(as_unit_images(sixteen.astype(">u2")), as_unit_images(sixteen))


def test_a_single_image_needs_no_axis_of_images(model, images):
    labels = np.random.default_rng(1).integers(0, 3, images.shape[:3])
    one, several = images[1], images[1:2]
    samples, latents = model.sample(one, num_samples=2, return_latents=True)
    expected, expected_latents = model.sample(several, num_samples=2, return_latents=True)
    np.testing.assert_array_equal(samples, expected[:, 0])
    for z, with_images in zip(latents, expected_latents, strict=True):
        np.testing.assert_array_equal(z, with_images[:, 0])
    np.testing.assert_array_equal(model.sample(one, num_samples=2, latents=latents), samples)
    np.testing.assert_array_equal(
        model.reconstruct(one, labels[1]), model.reconstruct(several, labels[1:2])[0]
    )
    for gaussians, with_images in (
        (model.prior(one), model.prior(several)),
        (model.posterior(one, labels[1]), model.posterior(several, labels[1:2])),
    ):
        for gaussian, expected in zip(gaussians, with_images, strict=True):
            np.testing.assert_array_equal(gaussian.mean, expected.mean[0])
            np.testing.assert_array_equal(gaussian.log_std, expected.log_std[0])


def test_an_images_noise_follows_its_id_whatever_batch_it_lies_in(model, images):
    together = model.sample(images, num_samples=2, probabilities=True)
    in_twos = model.sample(images, num_samples=2, probabilities=True, batch_size=2)
    np.testing.assert_allclose(in_twos, together, atol=1e-4)
    turned = model.sample(images[::-1], 2, probabilities=True, image_ids=[2, 1, 0])
    np.testing.assert_allclose(turned[:, ::-1], together, atol=1e-4)
    alone = model.sample(images[2], 2, probabilities=True, image_ids=2)
    np.testing.assert_allclose(alone, together[:, 2], atol=1e-4)
    assert np.abs(model.sample(images[2], 2, probabilities=True) - alone).max() > 1e-3
    labels = np.random.default_rng(1).integers(0, 3, images.shape[:3])
    np.testing.assert_array_equal(
        model.reconstruct(images, labels, batch_size=2), model.reconstruct(images, labels)
    )


def test_latents_that_are_returned_make_the_same_samples_again(model, images):
    samples, latents = model.sample(images, 3, probabilities=True, return_latents=True)
    assert [z.shape for z in latents] == [(3, 3, 2, 3, 1), (3, 3, 4, 6, 2)]
    again, used = model.sample(
        images, 3, seed=9, probabilities=True, latents=latents, return_latents=True
    )
    # Another program, which may round otherwise when it is compiled as in these tests.
    np.testing.assert_allclose(again, samples, atol=1e-5)
    np.testing.assert_array_equal(used[1], latents[1])
    last = model.sample(images, 5, probabilities=True, latents=[z[2] for z in latents])
    np.testing.assert_allclose(last, samples[[2] * 5], atol=1e-6)


def test_scales_that_are_not_given_follow_the_prior_of_those_that_are(model, images):
    (coarse,) = {z.shape for z in model.prior(images)[0]}
    given = np.random.default_rng(2).normal(0, 3, coarse).astype(np.float32)
    _, latents = model.sample(images, 200, latents=[given, None], return_latents=True)
    prior = model.prior(images, latents=[given, None])[1]
    std = np.exp(prior.log_std)
    assert np.abs(prior.mean - model.prior(images)[1].mean).max() > 0.1
    standardised = (latents[1] - prior.mean) / std
    assert abs(standardised.mean()) < 0.02
    assert abs(standardised.std() - 1) < 0.02
    (mean,) = model.sample(images, 1, scales=[], latents=[given, None], return_latents=True)[1][1]
    np.testing.assert_allclose(mean, prior.mean, atol=1e-6)


def test_the_posterior_means_given_as_latents_reconstruct(model, images):
    labels = np.random.default_rng(1).integers(0, 3, images.shape[:3])
    means = [gaussian.mean for gaussian in model.posterior(images, labels)]
    decoded = model.sample(images, 1, probabilities=True, latents=means)[0]
    np.testing.assert_allclose(
        decoded, model.reconstruct(images, labels, probabilities=True), atol=1e-6
    )
    moved = model.posterior(images, labels, latents=[means[0] + 2, None])
    np.testing.assert_allclose(moved[0].mean, means[0], atol=1e-6)
    assert np.abs(moved[1].mean - means[1]).max() > 1e-3


@pytest.fixture
def compilations():
    """Names of what was compiled, in a list that grows."""
    names = []

    def listen(event, duration, **details):
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(details.get("fun_name", event))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


def test_the_number_of_samples_and_a_second_load_compile_nothing(
    model, images, compilations, tmp_path
):
    write_model(tmp_path / "model.npz", model.params, model.config)
    labels = np.zeros(images.shape[:3], int)
    for _ in range(2):
        loaded = hpunet_jax.load(tmp_path / "model.npz")
        loaded.reconstruct(images, labels)
        for num_samples in (1, 2, 5, 16):
            loaded.sample(images, num_samples)
        first = len(compilations)
        loaded.sample(images, 7, seed=4, image_ids=[7, 8, 9])
        assert len(compilations) == first
    programs.program.cache_clear()
    compilations.clear()
    hpunet_jax.load(tmp_path / "model.npz").sample(images, 3)
    assert len(compilations) == 2  # encoder and decoder: this test does count
    hpunet_jax.load(tmp_path / "model.npz").sample(images, 6)
    assert len(compilations) == 2


def test_programs_for_many_sizes_do_not_pile_up(model, monkeypatch):
    def executables():
        gc.collect()
        return len(jax.local_devices()[0].client.live_executables())

    few = functools.lru_cache(maxsize=2)(programs.program.__wrapped__)
    monkeypatch.setattr(programs, "program", few)
    model.sample(np.zeros((8, 8, 1)), 1)
    before = executables()
    for width in (16, 24):
        model.sample(np.zeros((8, width, 1)), 1)
    assert executables() == before
    assert programs.KEPT < 100


def test_bad_images_labels_and_scales_are_refused_in_a_sentence(model, images):
    for bad, message in (
        (images[0, 0], r"\[B, H, W, channels\]"),
        (images.astype(np.float32), r"must lie in \[0, 1\]"),
        (images.astype(np.int64), "int64"),
        (images.astype(object), "object"),
        ("image.png", "images must be"),
        (None, "images must be"),
        ([images[0], images[0, :8]], "not nested lists"),
        (images[:, :15], "multiples of 8"),
        (images.repeat(3, axis=-1), "image_channels=1"),
        (np.full((1, 8, 8, 1), np.nan), r"must lie in \[0, 1\]"),
        (np.full((8, 8, 1), np.inf), r"must lie in \[0, 1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            model.sample(bad)
    labels = np.zeros(images.shape[:3], int)
    with pytest.raises(ValueError, match="latent scale 2"):
        model.sample(images, scales=[2])
    for bad, message in (
        (labels + 3, "classes 0 to 2"),
        (labels - 1, "classes 0 to 2"),
        (labels[:2], "labels have shape"),
        (labels.astype(float), "labels must be integers or bools"),
        (labels.astype(str), "labels must be integers or bools"),
    ):
        for use in (model.reconstruct, model.posterior):
            with pytest.raises(ValueError, match=message):
                use(images, bad)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("num_samples", (0, -1, 2.5, 2.0, True, "16", None, [16])),
        ("seed", (-1, 2**31, 2**32 + 5, 10**30, 0.0, True, "0", None, [0, 1])),
        ("scales", ("0", 0, [0, 0], ["0"], [0.0], [True], [-1], [[0]], {0: 1})),
        ("probabilities", (1, "yes", None)),
        ("return_latents", (1, "yes", None)),
        ("batch_size", (0, -1, 1.0, True, "2")),
        ("image_ids", ([0], [0, 1, -1], [0, 1, 2**31], [0.0, 1.0, 2.0], "012", 0, [None] * 3)),
    ],
)
def test_an_argument_that_makes_no_sense_is_named(model, images, name, values):
    for value in values:
        with pytest.raises(ValueError, match=f"{name} ") as caught:
            model.sample(images, **{name: value})
        assert "\n" not in str(caught.value)


def test_latents_that_do_not_fit_are_refused_by_their_scale(model, images):
    good = [np.zeros((3, 2, 3, 1), np.float32), np.zeros((3, 4, 6, 2), np.float32)]
    for bad, message in (
        (good[:1], "latents has 1 entries, but this model has 2 latent scales"),
        (good[0], "latents must be a list"),
        ("zz", "latents must be a list"),
        ([good[0], good[1][..., :1]], r"latents\[1\] must be .* of shape \(3, 4, 6, 2\)"),
        (
            [good[0][:2], None],
            r"latents\[0\] must be .* of shape \(3, 2, 3, 1\), not .*: \[B, h, w, d\]",
        ),
        (
            [good[0][None], None],
            r"latents\[0\] must be .* of shape \(2, 3, 2, 3, 1\), not .*\[N, B",
        ),
        ([good[0].astype(int), None], r"latents\[0\] must be floating point numbers"),
        ([good[0].astype(str), None], r"latents\[0\] must be floating point numbers"),
        ([good[0] * np.nan, None], r"latents\[0\] holds NaN"),
        ([None, good[1].astype(float) + 1e300], r"latents\[1\] holds NaN or infinity"),
    ):
        for use in (
            functools.partial(model.sample, images, 2),
            functools.partial(model.prior, images),
            functools.partial(model.posterior, images, np.zeros(images.shape[:3], int)),
        ):
            if "N, B" in message and use.func != model.sample:
                continue
            with pytest.raises(ValueError, match=message):
                use(latents=bad)
    with pytest.raises(ValueError, match="scale 0 is to be sampled, but"):
        model.sample(images, scales=[0], latents=[good[0], None])
