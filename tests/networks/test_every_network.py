"""What holds for each network: equality by config, bfloat16 that ends in float32, precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from hpunet_jax.networks import build_network

SMALL = {"num_scales": 3, "base_channels": 4, "max_channels": 8, "num_classes": 3}
MODELS = {
    "hpunet": {"name": "hpunet", **SMALL, "latent_dims": (1,), "blocks_per_scale": 1},
    "spunet": {"name": "spunet", **SMALL, "convs_per_scale": 1, "latent_dim": 2},
    "unet": {"name": "unet", **SMALL, "convs_per_scale": 1},
}
IMAGE = jax.random.uniform(jax.random.key(1), (2, 8, 8, 1))
LABEL = jax.random.randint(jax.random.key(2), (2, 8, 8), 0, 3)


@pytest.fixture(params=MODELS)
def model(request):
    """The `model` section of a small network of each kind."""
    return MODELS[request.param]


def keys():
    return jax.random.split(jax.random.key(0), len(IMAGE))


def training_program(model):
    """The operations of a training pass and its gradient."""
    network = build_network(model)

    def loss(params):
        outputs = network.train_outputs(params, keys(), IMAGE, LABEL)
        return sum(jnp.sum(x**2) for x in jax.tree.leaves(outputs))

    return jax.make_jaxpr(jax.grad(loss))(network.param_shapes())


def convolutions(jaxpr):
    """All convolutions of a program, those of inner programs included."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            yield equation
        for inner in jaxprs_in_params(equation.params):
            yield from convolutions(inner)


def test_networks_of_equal_config_are_equal_and_compiled_once(model):
    compilations = 0

    def encode(network, params, image):
        nonlocal compilations
        compilations += 1
        return network.encode(params, image)

    encode = jax.jit(encode, static_argnums=0)
    first, again = build_network(model), build_network(dict(model))
    other = build_network({**model, "base_channels": 6})
    assert first == again
    assert hash(first) == hash(again)
    assert first not in (other, build_network(model, constrain=lambda x: x), None)
    params = first.init(jax.random.key(0))
    for network in (first, again):
        encode(network, params, IMAGE)
    assert compilations == 1
    encode(other, other.init(jax.random.key(0)), IMAGE)
    assert compilations == 2


def test_bfloat16_networks_predict_gaussians_and_logits_that_bfloat16_cannot_hold(model):
    network = build_network({**model, "dtype": "bfloat16"})
    params = network.init(jax.random.key(0))
    outputs = network.train_outputs(params, keys(), IMAGE, LABEL)
    drawn = network.sample(params, network.encode(params, IMAGE), keys())
    predicted = [outputs.logits, drawn.logits, *outputs.posteriors, *outputs.priors, *drawn.priors]
    for values in jax.tree.leaves(predicted):
        assert values.dtype == jnp.float32
        rounded = values.astype(jnp.bfloat16).astype(jnp.float32)
        assert np.mean(values == rounded) < 0.1


@pytest.mark.parametrize("precision", ["high", "highest"])
def test_precision_reaches_every_convolution_of_a_step(model, precision):
    expected = jax.lax.Precision(precision)
    found = [e.params["precision"] for e in convolutions(training_program(model).jaxpr)]
    found_chosen = convolutions(training_program({**model, "precision": precision}).jaxpr)
    assert set(found) == {None}
    assert [e.params["precision"] for e in found_chosen] == [(expected, expected)] * len(found)


def test_unknown_precision_is_refused(model):
    with pytest.raises(ValueError, match=r"model\.precision must be default, high or highest"):
        build_network({**model, "precision": "tf32"})
