"""Frozen parts of the network: which modules they are, and that nothing moves them."""

import jax
import numpy as np
import pytest

from hpunet_jax.networks import build_network
from hpunet_jax.training.freezing import frozen_modules, without_frozen
from hpunet_jax.training.state import Trainable


@pytest.fixture(scope="module")
def modules(tiny_model):
    return list(build_network(tiny_model).param_shapes())


def test_a_part_is_named_by_its_path_or_by_the_end_of_a_name(modules):
    def tops(*parts):
        return {module.split("/")[0] for module in frozen_modules(parts, modules)}

    assert tops("encoder") == {"prior_encoder", "posterior_encoder"}
    assert tops("prior_encoder", "output_decoder") == {"prior_encoder", "output_decoder"}
    assert frozen_modules(["prior_encoder/scale_0"], modules) < frozen_modules(["encoder"], modules)
    assert frozen_modules([], modules) == frozenset()
    (logits,) = frozen_modules(["logits"], modules)
    assert logits == "output_decoder/logits"


def test_a_part_that_does_not_exist_or_all_of_them_are_refused(modules):
    with pytest.raises(ValueError, match=r"has 'decodr', but no part .*prior_encoder"):
        frozen_modules(["encoder", "decodr"], modules)
    with pytest.raises(ValueError, match="nothing of the network to train"):
        frozen_modules(["encoder", "prior", "posterior", "output_decoder"], modules)


def test_frozen_modules_have_no_gradient():
    gradients = Trainable({"a": {"w": np.ones(3)}, "b": {"w": np.ones(2)}}, np.ones(()))
    left = without_frozen(gradients, {"a"})
    assert jax.tree.map(np.sum, left) == Trainable({"a": {"w": 0}, "b": {"w": 2}}, 1)
