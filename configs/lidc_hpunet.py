"""The paper's HPU-Net on LIDC-IDRI (Sections 2 and 3.2, Appendices C and D.1).

8 scales with 4 latent scales on 128x128 crops, 240k steps of batch 32: 20.6 M parameters, 0.72
TFLOP a step.

    hpunet train --config=lidc_hpunet --workdir=runs/lidc

Needs: the published crops (docs/data.md says where to put them) and a GPU or TPU; or, with
    `--config.data.name=lidc_phantom`, the embedded data, real outlines on simulated CT.
Takes: not run to its end. Time and memory of a step on a CPU stand in docs/speed.md, memory and
    operations on TPUs in docs/tpu.md.
Expect: the paper reports, on real CT, GED² 0.27, Hungarian-matched IoU 0.53, reconstruction IoU
    0.97. configs/demo.py is the same in small, with measured scores.
"""

import ml_collections

from hpunet_jax.augmentation.ranges import LIDC


def get_config() -> ml_collections.ConfigDict:
    """The config; locked, so that a misspelt field is an error."""
    config = ml_collections.ConfigDict()

    config.data = ml_collections.ConfigDict()
    config.data.name = "lidc_crops"
    config.data.dir = "datasets"  # where data sets are built and looked for
    config.data.crop = (128, 128)
    config.data.augmentation = ml_collections.ConfigDict(LIDC)

    config.model = ml_collections.ConfigDict()
    config.model.name = "hpunet"
    config.model.image_channels = 1
    config.model.num_classes = 2
    config.model.num_scales = 8
    config.model.base_channels = 24
    config.model.max_channels = 192
    config.model.latent_dims = (1, 1, 1, 1)  # scalar latents on 1x1, 2x2, 4x4 and 8x8 positions
    config.model.blocks_per_scale = 3
    config.model.convs_per_block = 3
    config.model.log_std_bound = 10.0
    config.model.dtype = "float32"
    config.model.precision = "default"  # of products: "highest" is float32 on TPUs and GPUs, too
    config.model.init_gain = 1.0  # of the orthogonal kernels; 2 ** 0.5 keeps the variance
    config.model.remat = ()  # scales, 0 the finest: less memory, a second forward pass
    config.model.blocks = ()  # columns in the channels of the finest scales, as (8, 4) on TPUs

    config.objective = ml_collections.ConfigDict()
    config.objective.name = "geco"  # or "elbo"
    config.objective.top_k = 0.02  # the worst pixels of a batch; 1 takes all
    config.objective.kappa = 0.05  # desired reconstruction loss per selected pixel
    config.objective.decay = 0.99
    config.objective.rate = 0.01
    config.objective.beta = 1.0  # weight of the KL terms under "elbo"

    config.optimizer = ml_collections.ConfigDict()
    config.optimizer.name = "adam"
    config.optimizer.b1 = 0.9
    config.optimizer.b2 = 0.999
    config.optimizer.epsilon = 1e-8
    config.optimizer.weight_decay = 1e-5
    config.optimizer.multiplier_lr_factor = 1.0  # Lagrange multiplier's rate over the network's
    config.optimizer.clip_norm = 0.0  # greatest norm of the gradient; 0 does not clip
    config.optimizer.learning_rate = ml_collections.ConfigDict()
    config.optimizer.learning_rate.initial = 1e-4
    config.optimizer.learning_rate.final = 0.5e-5
    config.optimizer.learning_rate.drops = 4
    config.optimizer.learning_rate.boundaries = ()  # () spreads the drops evenly

    config.training = ml_collections.ConfigDict()
    config.training.seed = 0
    config.training.steps = 240_000
    config.training.batch_size = 32
    config.training.log_every = 100
    config.training.checkpoint_every = 5_000
    config.training.keep_checkpoints = 3
    config.training.validate_every = 0  # steps; 0: no validation
    config.training.validation_split = "validation"
    config.training.validation_images = 64
    config.training.keep_best_by = ""  # for instance "ged2", or "ema_ged2"
    config.training.ema_decay = 0.0  # of a moving average of the weights; 0: none
    config.training.accumulate = 1  # micro-batches of a batch, to need less memory
    config.training.freeze = ()  # for instance ("encoder",)
    config.training.init_from = ""  # what to start from; see --init_from
    config.training.init_step = ""
    config.training.init_weights = "trained"  # or "ema"

    config.evaluation = ml_collections.ConfigDict()
    # Of several graders. Instances have "instances", "snemi3d" and "cityscapes", with fields of
    # their own (evaluation/protocols.py).
    config.evaluation.protocol = "graders"
    config.evaluation.split = "test"
    config.evaluation.num_samples = 16
    config.evaluation.batch_size = 32
    config.evaluation.bootstraps = 1_000
    config.evaluation.seed = 0

    config.mesh = ml_collections.ConfigDict()
    config.mesh.data = -1  # devices the batch is split over; -1: what is left
    config.mesh.space = 1  # devices an image's rows are split over
    config.mesh.min_rows = 16  # levels with fewer rows are split by image over all devices
    config.mesh.shard_optimizer = False  # True: Adam's moments are split over "data" (ZeRO-1)
    return config.lock()
