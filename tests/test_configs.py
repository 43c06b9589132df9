"""The configs of the paper's experiments: their networks are as large as the official ones."""

import jax
import pytest

from configs import cityscapes_hpunet, lidc_hpunet, snemi3d_hpunet
from hpunet_jax.networks import build_network

# Parameters without and with the posterior's unused last blocks, in millions. On LIDC-IDRI the
# latter is the size of the published weights.
SIZES = {
    lidc_hpunet: (20.58, 21.88),
    snemi3d_hpunet: (42.61, 44.91),
    cityscapes_hpunet: (29.54, 31.21),
}


@pytest.mark.parametrize("module", SIZES, ids=lambda module: module.__name__)
@pytest.mark.parametrize("tail", [False, True])
def test_the_papers_networks_have_the_official_number_of_parameters(module, tail):
    model = module.get_config().model.copy_and_resolve_references().unlock()
    model.posterior_tail = tail
    shapes = build_network(model).param_shapes()
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    assert round(count / 1e6, 2) == SIZES[module][tail]


@pytest.mark.parametrize("module", [snemi3d_hpunet, cityscapes_hpunet])
def test_the_finest_latents_of_instance_networks_are_as_in_the_paper(module):
    """85 latents on SNEMI3D (Section 3.3); 16x32 the finest on Cityscapes (Section 3.4)."""
    config = module.get_config()
    sizes = [length // 2 ** (config.model.num_scales - 1) for length in config.data.crop]
    scales = range(len(config.model.latent_dims))
    grids = [tuple(length * 2**scale for length in sizes) for scale in scales]
    assert grids[-1] == {snemi3d_hpunet: (8, 8), cityscapes_hpunet: (16, 32)}[module]
    if module is snemi3d_hpunet:
        assert sum(height * width for height, width in grids) == 85
