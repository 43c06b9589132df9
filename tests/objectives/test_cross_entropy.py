"""The reconstruction term against its definition."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats

from hpunet_jax.labels import NO_TARGET
from hpunet_jax.objectives.cross_entropy import (
    cross_entropy,
    gumbel_noise,
    num_selected_pixels,
    reconstruction_loss,
    selection_scores,
)
from hpunet_jax.objectives.top_k import top_k_mask


@pytest.fixture
def batch():
    logits = jax.random.normal(jax.random.key(0), (2, 5, 6, 3))
    label = jax.random.randint(jax.random.key(1), (2, 5, 6), 0, 3)
    mask = jax.random.bernoulli(jax.random.key(2), 0.7, (2, 5, 6)).astype(jnp.float32)
    return logits, label, mask


def test_it_sums_over_pixels_and_averages_over_the_batch(batch):
    logits, label, mask = batch
    loss = -np.log(scipy.special.softmax(np.asarray(logits, np.float64), axis=-1))
    loss = np.take_along_axis(loss, np.asarray(label)[..., None], axis=-1)[..., 0] * mask
    value = reconstruction_loss(logits, label, mask)
    np.testing.assert_allclose(value.sum, loss.sum(axis=(1, 2)).mean(), rtol=1e-6)
    np.testing.assert_allclose(value.mean, loss.sum() / mask.sum(), rtol=1e-6)
    np.testing.assert_allclose(value.num_selected, mask.sum() / 2)
    np.testing.assert_array_equal(value.mask, mask)


def test_the_label_s_logit_is_selected_as_a_gather_selects_it(batch):
    logits, label, _ = batch
    logits = logits.at[0, 0, 0].set(jnp.array([-jnp.inf, 0.0, 90.0]))

    def both(loss):
        return jax.value_and_grad(lambda x: jnp.sum(jnp.sin(loss(x, label))))(logits)

    literal = optax.softmax_cross_entropy_with_integer_labels
    np.testing.assert_array_equal(cross_entropy(logits, label), literal(logits, label))
    for ours, theirs in zip(both(cross_entropy), both(literal), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert "gather" not in str(jax.make_jaxpr(both, static_argnums=0)(cross_entropy))


def test_the_deterministic_top_k_takes_the_highest_valid_losses(batch):
    logits, label, mask = batch
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, label)
    value = reconstruction_loss(logits, label, mask, top_k=0.2)
    expected = np.sort(np.asarray(loss)[np.asarray(mask) > 0])[-12:]  # 60 pixels, masked or not
    chosen = np.asarray(loss)[np.asarray(value.mask) > 0]
    np.testing.assert_array_equal(np.sort(chosen), expected)
    assert not (np.asarray(value.mask) * (1 - np.asarray(mask))).any()
    nowhere = jnp.where(mask > 0, label, NO_TARGET)  # whose losses would sum to less than 0
    shifted = reconstruction_loss(logits - 50, nowhere, mask, top_k=0.2)
    np.testing.assert_array_equal(shifted.mask, value.mask)


def test_masked_pixels_get_no_gradient_and_unselected_ones_neither(batch):
    logits, label, mask = batch
    value = reconstruction_loss(logits, label, mask, top_k=0.2)
    gradient = jax.grad(lambda x: reconstruction_loss(x, label, mask, top_k=0.2).sum)(logits)
    touched = np.abs(gradient).sum(axis=-1) > 0
    np.testing.assert_array_equal(touched, np.asarray(value.mask) > 0)


def test_stochastic_selection_follows_sampling_without_replacement():
    """Gumbel top-k draws sets with the probabilities of successive draws by weight."""
    loss = np.array([0.5, 1.0, 2.0, 4.0, 9.0, 3.0])
    valid = np.array([True, True, True, True, True, False])
    k, draws = 2, 20_000

    def chosen(key):
        noise = gumbel_noise(jax.random.uniform(key, loss.shape))
        return top_k_mask(selection_scores(jnp.float32(loss), noise), jnp.array(valid), k)

    masks = np.asarray(jax.vmap(chosen)(jax.random.split(jax.random.key(0), draws)))
    assert (masks.sum(axis=1) == k).all()
    assert not masks[:, ~valid].any()

    weights = loss * valid
    expected, observed = [], []
    for a, b in itertools.combinations(np.flatnonzero(valid), k):
        total = weights.sum()
        in_order = weights[a] / total * weights[b] / (total - weights[a])
        swapped = weights[b] / total * weights[a] / (total - weights[b])
        expected.append((in_order + swapped) * draws)
        observed.append((masks[:, a] & masks[:, b]).sum())
    assert sum(observed) == draws
    assert scipy.stats.chisquare(observed, expected).pvalue > 0.01


def test_an_all_masked_batch_gives_zero_not_nan(batch):
    logits, label, mask = batch
    for top_k in (1.0, 0.1):
        value = reconstruction_loss(logits, label, 0 * mask, top_k=top_k)
        assert value.sum == value.mean == value.num_selected == 0.0


def test_pixels_without_any_loss_fill_up_the_selection():
    """Saturated pixels have a loss of exactly 0 and a score of -inf, but are valid."""
    logits = jnp.zeros((1, 2, 4, 2)).at[0, :, 1:, 0].set(200.0)
    label = jnp.zeros((1, 2, 4), jnp.int32)
    value = reconstruction_loss(logits, label, jnp.ones((1, 2, 4)), top_k=0.5)
    assert value.num_selected == 4
    assert value.mask[0, 0, 0] == value.mask[0, 1, 0] == 1


@pytest.mark.parametrize("top_k", [0.0, -0.1, 1.5])
def test_impossible_fractions_are_refused(batch, top_k):
    with pytest.raises(ValueError, match=r"objective\.top_k"):
        reconstruction_loss(*batch, top_k=top_k)


def test_k_is_rounded_down_in_float32():
    assert num_selected_pixels(2 * 32 * 32, 0.02) == 40
    assert num_selected_pixels(32 * 128 * 128, 0.02) == 10485
