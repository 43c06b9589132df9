"""The plain U-Net: a network without latents serves training, sampling and evaluation alike."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from hpunet_jax.augmentation import Batch
from hpunet_jax.evaluation.graders import evaluate
from hpunet_jax.inference import Model
from hpunet_jax.networks import build_network
from hpunet_jax.objectives import build_objective
from hpunet_jax.training import Trainable, batch_loss

MODEL = {"name": "unet", "num_scales": 2, "base_channels": 4, "convs_per_scale": 1}


@pytest.fixture(scope="module")
def network():
    return build_network(MODEL)


@pytest.fixture(scope="module")
def params(network):
    return network.init(jax.random.key(0))


def test_its_loss_is_the_cross_entropy_of_all_pixels(network, params):
    image = jax.random.uniform(jax.random.key(1), (2, 8, 8, 1))
    label = jax.random.randint(jax.random.key(2), (2, 8, 8), 0, 2)
    batch = Batch(image, label, jnp.ones((2, 8, 8)))
    objective = build_objective({"name": "elbo", "beta": 1.0})
    loss, (_, metrics) = batch_loss(
        Trainable(params, ()),
        (),
        batch,
        jax.random.key(3),
        network=network,
        objective=objective,
        top_k=1.0,
        weight_decay=0.0,
    )
    log_p = jax.nn.log_softmax(network.encode(params, image))
    expected = -np.take_along_axis(np.asarray(log_p), np.asarray(label)[..., None], -1).sum() / 2
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert float(metrics["kl_sum"]) == 0


def test_all_samples_and_reconstructions_are_the_same(network, params, examples):
    model = Model(network, params, ml_collections.ConfigDict({"model": MODEL}))
    samples = model.sample(examples["image"], num_samples=3, probabilities=True)
    assert model.num_latent_scales == 0
    np.testing.assert_array_equal(samples[0], samples[2])
    rebuilt = model.reconstruct(examples["image"], examples["masks"][..., 0], probabilities=True)
    np.testing.assert_allclose(rebuilt, samples[0], atol=1e-6)
    with pytest.raises(ValueError, match="no latent scales"):
        model.sample(examples["image"], scales=[0])


def test_it_is_evaluated_like_any_model(network, params, examples):
    model = Model(network, params, ml_collections.ConfigDict({"model": MODEL}))
    scores = evaluate(model, [examples], crop=(16, 16), num_samples=2)
    rows = scores.rows["model"]
    np.testing.assert_allclose(rows["hungarian_iou"], rows["reconstruction_iou"])
