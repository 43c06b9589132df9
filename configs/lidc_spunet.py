"""The Standard Probabilistic U-Net on LIDC-IDRI, as the paper re-implements it (Appendix D.1).

The paper names the first and the last learning rate; the number of drops between them is the
HPU-Net's. docs/fidelity.md says what else is open.

    hpunet train --config=lidc_spunet --workdir=runs/lidc_spunet

Needs: what configs/lidc_hpunet.py needs. Takes: not timed at this size.
Expect: the paper reports, on real CT, GED² 0.32, Hungarian-matched IoU 0.50, reconstruction IoU
    0.75; docs/results.md has scores in small, by configs/demo.py:lidc_spunet.
"""

import ml_collections

from configs import lidc_hpunet


def get_config() -> ml_collections.ConfigDict:
    """The HPU-Net's config with another network, objective and learning rate."""
    config = lidc_hpunet.get_config().unlock()
    config.model = ml_collections.ConfigDict()
    config.model.name = "spunet"
    config.model.image_channels = 1
    config.model.num_classes = 2
    config.model.num_scales = 5
    config.model.base_channels = 32
    config.model.max_channels = 192
    config.model.convs_per_scale = 3
    config.model.latent_dim = 6  # global latents
    config.model.final_convs = 3  # 1x1 convolutions, the logits' included
    config.model.log_std_bound = 10.0
    config.model.dtype = "float32"
    config.model.precision = "default"  # of products: "highest" is float32 on TPUs and GPUs, too
    config.model.init_gain = 1.0  # of the orthogonal kernels; 2 ** 0.5 keeps the variance

    config.objective.name = "elbo"
    config.objective.beta = 1.0
    config.objective.top_k = 1.0
    config.optimizer.learning_rate.initial = 0.5e-5
    config.optimizer.learning_rate.final = 1e-6
    return config.lock()
