"""An image opened once: its samples, segmentations of given latents, and fits to marks."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from hpunet_jax.inference import Model
from hpunet_jax.inference import fit as fitting
from hpunet_jax.inference.fit import unusual
from hpunet_jax.networks import build_network


@pytest.fixture(scope="module")
def case(tiny_sampler, images):
    return tiny_sampler.open(images[1])


def test_a_case_samples_as_its_model(case, tiny_sampler, images):
    samples, latents = case.sample(5, seed=2, return_latents=True)
    np.testing.assert_array_equal(samples, tiny_sampler.sample(images[1], 5, seed=2))
    np.testing.assert_array_equal(case.sample(5, latents=latents), samples)
    together = tiny_sampler.sample(images, 5, seed=2, probabilities=True)[:, 1]
    alone = case.sample(5, seed=2, probabilities=True, image_id=1)
    np.testing.assert_allclose(alone, together, atol=1e-4)


def test_decoding_latents_makes_the_sample_they_come_from(case):
    samples, latents = case.sample(2, probabilities=True, return_latents=True)
    decoded = case.decode([z[1] for z in latents], probabilities=True)
    np.testing.assert_allclose(decoded, samples[1], atol=1e-6)
    assert case.decode([z[1] for z in latents]).shape == (16, 24)


def test_scales_follow_their_prior_means_or_keep_their_noise(case):
    mean = case.sample(1, scales=[], probabilities=True)[0]
    np.testing.assert_allclose(case.decode(probabilities=True), mean, atol=1e-6)
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=shape).astype(np.float32) for shape in case.latent_shapes]
    coarse = np.full(case.latent_shapes[0], 2, np.float32)
    prior = case.prior([coarse, None])[1]
    latents = [coarse, prior.mean + np.exp(prior.log_std) * noise[1]]
    kept, used = case.decode([coarse, None], noise, probabilities=True, return_latents=True)
    np.testing.assert_allclose(used[1], latents[1], atol=1e-5)
    np.testing.assert_allclose(case.noise(used)[1], noise[1], atol=1e-4)
    np.testing.assert_allclose(kept, case.decode(latents, probabilities=True), atol=1e-6)
    assert np.abs(kept - case.decode([coarse, None], probabilities=True)).max() > 1e-3


def test_a_case_reconstructs_as_its_model(case, tiny_sampler, images):
    labels = np.random.default_rng(1).integers(0, 3, images.shape[1:3])
    np.testing.assert_allclose(
        case.reconstruct(labels, probabilities=True),
        tiny_sampler.reconstruct(images[1], labels, probabilities=True),
        atol=1e-6,
    )


def test_hypotheses_are_samples_with_the_latents_that_decode_to_them(case):
    found = case.hypotheses(num_samples=12, at_most=3)
    assert 1 <= len(found) <= 3
    samples = case.sample(12)
    for hypothesis in found:
        np.testing.assert_array_equal(hypothesis.labels, samples[hypothesis.medoid])
        np.testing.assert_array_equal(case.decode(hypothesis.latents), hypothesis.labels)
    again = case.hypotheses(num_samples=12, at_most=3)
    assert [hypothesis.samples for hypothesis in found] == [h.samples for h in again]
    assert case.uncertainty(4).mean.shape == (16, 24, 3)


def test_marks_that_a_sample_meets_come_out_within_the_budget(case):
    goal = case.sample(1, seed=5)[0]
    rng = np.random.default_rng(0)
    inside = rng.permutation(np.argwhere(goal == 1))[:3]
    outside = np.zeros(goal.shape, bool)
    outside[tuple(rng.permutation(np.argwhere(goal != 1))[:3].T)] = True
    fit = case.fit(inside.tolist(), outside, max_passes=300)
    assert not fit.unmet.any()
    assert (fit.labels[tuple(inside.T)] == 1).all()
    assert (fit.labels[outside] != 1).all()
    assert fit.passes <= 300
    np.testing.assert_array_equal(case.decode(fit.latents), fit.labels)
    assert fit.unusual == pytest.approx(unusual(case.noise(fit.latents)), abs=0.05)
    assert fit.unusual < 3
    again = case.fit(inside.tolist(), outside, max_passes=5, start=fit.latents)
    np.testing.assert_array_equal(again.labels, fit.labels)


def test_a_fit_never_meets_fewer_marks_than_what_it_started_from(case):
    for number, sample in enumerate(case.sample(3, seed=5)):
        met = case.fit(sample == 1, sample != 1, max_passes=200)
        for budget in (13, 40):
            again = case.fit(sample == 1, sample != 1, max_passes=budget, start=met.latents)
            assert again.unmet.sum() <= met.unmet.sum(), (number, budget)


@pytest.mark.parametrize("budget", [1, 2, 20, 47])
def test_marks_that_the_model_cannot_produce_are_reported_within_the_budget(
    case, monkeypatch, budget
):
    checkers = np.indices((16, 24)).sum(axis=0) % 2 == 0
    passes, program = [], fitting.program

    def counted(function, *key):
        run = program(function, *key)
        climbs = function is fitting._climb
        return lambda *given: passes.append(3 * given[-1] if climbs else 1) or run(*given)

    monkeypatch.setattr(fitting, "program", counted)
    fit = case.fit(checkers, jnp.asarray(~checkers), max_passes=budget, num_starts=10**12)
    assert fit.passes == sum(passes) <= budget
    np.testing.assert_array_equal(fit.unmet, checkers != (fit.labels == 1))
    assert fit.unmet.any()


def test_how_unusual_noise_is_counts_standard_deviations():
    rng = np.random.default_rng(0)
    typical = [unusual([rng.normal(size=(8, 8)), rng.normal(size=20)]) for _ in range(500)]
    assert abs(np.mean(typical)) < 0.15
    assert abs(np.std(typical) - 1) < 0.1
    assert unusual([np.zeros((8, 8))]) == pytest.approx(-np.sqrt(64 / 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "no pixel is marked"),
        ({"inside": []}, "no pixel is marked"),
        ({"inside": [(0, 0)], "outside": [(0, 0)]}, r"\(0, 0\) is marked both"),
        ({"inside": [(16, 0)]}, r"inside marks the pixel \(16, 0\), which lies outside"),
        ({"outside": [(0, -1)]}, r"outside marks the pixel \(0, -1\)"),
        ({"inside": [(0.5, 1.0)]}, "inside must be integers"),
        ({"inside": "here"}, "inside must be integers"),
        ({"inside": np.ones((24, 16), bool)}, "inside must be bools of shape"),
        ({"inside": [(0, 0)], "label": 3}, "label must be an integer from 0 to 2"),
        ({"inside": [(0, 0)], "max_passes": 0}, "max_passes must be"),
        ({"inside": [(0, 0)], "num_starts": 1.5}, "num_starts must be"),
        ({"inside": [(0, 0)], "seed": -1}, "seed must be"),
    ],
)
def test_marks_that_make_no_sense_are_refused(case, arguments, message):
    with pytest.raises(ValueError, match=message):
        case.fit(**arguments)


def test_what_a_case_cannot_answer_is_refused_in_a_sentence(case, tiny_sampler, images):
    shapes = case.latent_shapes
    for use, message in (
        (lambda: tiny_sampler.open(images), "open images one by one"),
        (lambda: tiny_sampler.open(images[0], spacing=(1, 0)), "spacing must be two positive"),
        (lambda: tiny_sampler.open(images[0], spacing=1), "spacing must be"),
        (lambda: case.decode([None]), "latents has 1 entries"),
        (lambda: case.decode(noise=[None, None]), "noise must be given for every scale"),
        (lambda: case.decode(noise=[np.zeros(shapes[0])] * 2), r"noise\[1\] must be"),
        (lambda: case.hypotheses(at_most=0), "at_most must be"),
        (lambda: case.hypotheses(distinct=2), "distinct must be"),
        (lambda: case.hypotheses(0), "num_samples must be"),
        (lambda: case.uncertainty(True), "num_samples must be"),
        (lambda: case.reconstruct(np.full((16, 24), 3)), "classes 0 to 2"),
        (lambda: case.sample(image_id=[0]), "image_id must be"),
    ):
        with pytest.raises(ValueError, match=message):
            use()


def test_random_labels_of_instances_are_not_compared(tiny_model, images):
    network = build_network(tiny_model)
    config = ml_collections.ConfigDict({"model": tiny_model, "data": {"num_ids": 2}})
    case = Model(network, network.init(jax.random.key(0)), config).open(images[0])
    for use in (case.hypotheses, case.uncertainty):
        with pytest.raises(ValueError, match="gives instances random labels"):
            use()
