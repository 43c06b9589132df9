"""Every field of a config, in one table: `schema(network)`.

A new field is one entry here. Where a dataclass holds the fields (the networks' configs,
`Augmentation`, `Extrapolation`), names, types, defaults and meanings are read off it; ranges, too,
where its fields are `ranged`, else an entry here gives them.
"""

import functools
import types
from collections.abc import Mapping
from typing import Any

from hpunet_jax.arguments import GREATEST_SEED
from hpunet_jax.augmentation import Augmentation, Extrapolation
from hpunet_jax.fields import Field, fields_of
from hpunet_jax.networks import HPUNetConfig, SPUNetConfig, UNetConfig
from hpunet_jax.networks.config import DTYPES, PRECISIONS

NETWORKS = {"hpunet": HPUNetConfig, "spunet": SPUNetConfig, "unet": UNetConfig}

_COUNT = 2**31 - 1  # steps are counted in int32
_SEED: dict[str, Any] = {"low": 0, "high": GREATEST_SEED}
_WIDTH: dict[str, Any] = {"low": 1, "high": 4096}
_SMALL: dict[str, Any] = {"low": 1, "high": 64}
_FRACTION: dict[str, Any] = {"low": 0, "below": 1}
_SIDE: dict[str, Any] = {"low": 1, "high": 16_384}  # pixels

OPTIONAL_SECTIONS = ("data.extrapolation",)

SCORES = (
    "loss", "reconstruction_per_pixel", "kl_sum",
    "ged2", "hungarian_iou", "reconstruction_iou", "rand_error", "average_precision",
)  # fmt: skip
"""Of a validation: what the best checkpoint can be chosen by."""

WEIGHTS = ("trained", "ema")
"""The weights of a checkpoint: as they are trained, or their exponential moving average."""

_DATA = {
    "name": Field(str, "the data set, of docs/data.md, maybe with a variant: lidc_crops/any_count"),
    "dir": Field(str, "folder in which data sets are built and looked for; of own data, its own"),
    "num_ids": Field(int, "labels that instances are mapped to at random", None, 1, 1024),
    "size": Field(
        int,
        "own data: height and width that all images are cropped or padded to; (): they stay",
        (),
        **_SIDE,
        length=(0, 2),
    ),
    "bits": Field(int, "own data: bits of all images; 0: as most have", 0, choices=(0, 8, 16)),
    "foreground": Field(
        int,
        "own data: what 255 is in masks of 0 and 255: 255, the foreground; 1, ignored; 0: refused",
        0,
        choices=(0, 1, 255),
    ),
    "window": Field(
        float,
        "files: the values that become 0 and 1, in the file's units; (): those of their type",
        (),
        low=-1e9,
        high=1e9,
        length=(0, 2),
    ),
    "percentiles": Field(
        float,
        "files: instead of a window, percentiles of each image or volume; (): none",
        (),
        low=0,
        high=100,
        length=(0, 2),
    ),
    "spacing": Field(
        float,
        "files: mm from row to row and from column to column to resample to; (): as they are",
        (),
        above=0,
        high=1000,
        length=(0, 2),
    ),
    "scale": Field(
        float, "files: by which images are enlarged, below 1 reduced", 1.0, low=0.01, high=100
    ),
    "hdf5": Field(
        str,
        "files: names of the data sets of images and labels in HDF5; (): the only one",
        (),
        length=(0, 2),
    ),
    "whole_images": Field(
        bool,
        "own data: training crops come from anywhere in an image of any size, whole images are "
        "evaluated; False: only centre crops",
        False,
    ),
    "foreground_share": Field(
        float, "whole_images: share of the crops with a marked pixel in them", 1 / 3, low=0, high=1
    ),
    "cache_dir": Field(str, 'own data: where it is built; "": `.tfds` in its folder', ""),
}

_MODEL = {
    "image_channels": {"low": 1, "high": 2048},
    "num_classes": {"low": 2, "high": 1024},
    "num_scales": {"low": 1, "high": 14},
    "base_channels": _WIDTH,
    "max_channels": _WIDTH,
    "channels": _WIDTH,
    "block_channels": _WIDTH,
    "latent_dims": {"low": 0, "high": 1024},
    "latent_dim": {"low": 1, "high": 1024},
    "blocks_per_scale": _SMALL,
    "convs_per_block": _SMALL,
    "convs_per_scale": _SMALL,
    "final_convs": _SMALL,
    "log_std_bound": {"above": 0, "high": 40},  # exp(2 x 40) is still a float32
    "posterior_tail": {},
    "dtype": {"choices": DTYPES},
    "precision": {"choices": PRECISIONS},
    "init_gain": {"above": 0, "high": 10},
    "remat": {"low": 0, "high": 13, "formerly": (False,)},
    "blocks": {"low": 1, "high": 8192, "length": (0, 13)},
}

_OBJECTIVE = {
    "name": Field(str, "a constraint (Eq. 6) or the lower bound (Eq. 5)", choices=("geco", "elbo")),
    "top_k": Field(
        float, "part of a batch's pixels, the worst, that is learnt from; 1: all", above=0, high=1
    ),
    "kappa": Field(
        float, "geco: desired reconstruction loss per selected pixel", None, above=0, high=100
    ),
    "decay": Field(
        float, "geco: decay of the moving average of the loss; 0: no average", None, **_FRACTION
    ),
    "rate": Field(
        float, "geco: factor on the multiplier's gradient; 0: it stays 1", None, low=0, high=1e6
    ),
    "beta": Field(float, "elbo: weight of the KL terms; 0: without them", None, low=0, high=1e6),
}

_OPTIMIZER = {
    "name": Field(
        str, "Adam, or with epsilon where TensorFlow 1 has it", choices=("adam", "adam_tf1")
    ),
    "b1": Field(float, "decay of Adam's first moment", **_FRACTION),
    "b2": Field(float, "decay of Adam's second moment", **_FRACTION),
    "epsilon": Field(float, "added to the root of the second moment", above=0, high=1),
    "weight_decay": Field(float, "weight of the squared parameters in the loss", low=0, high=1),
    "multiplier_lr_factor": Field(
        float, "the multiplier's learning rate over the network's; 0: it stays 1", low=0, high=1e6
    ),
    "clip_norm": Field(float, "greatest norm of the gradient; 0: not clipped", low=0, high=1e9),
    "learning_rate.initial": Field(float, "the first learning rate", above=0, high=10),
    "learning_rate.final": Field(float, "the last learning rate", above=0, high=10),
    "learning_rate.drops": Field(int, "drops between them; 0 keeps the first", low=0, high=10_000),
    "learning_rate.boundaries": Field(
        int,
        "the steps of the drops, ascending; (): evenly spread",
        low=1,
        high=_COUNT,
        length=(0, 10_000),
    ),
}

_TRAINING = {
    "seed": Field(int, "of weights, order of examples, augmentation and latents", **_SEED),
    "steps": Field(int, "training steps", low=1, high=_COUNT),
    "batch_size": Field(int, "images in a batch, of all devices together", low=1, high=65_536),
    "log_every": Field(int, "steps between two rows of metrics.csv", low=1, high=_COUNT),
    "checkpoint_every": Field(int, "steps between two checkpoints", low=1, high=_COUNT),
    "keep_checkpoints": Field(
        int, "how many of the newest checkpoints stay; 0: all", low=0, high=_COUNT
    ),
    "validate_every": Field(
        int, "steps between two validations (docs/training.md); 0: none", 0, 0, _COUNT
    ),
    "validation_split": Field(str, "the split that is validated on", "validation"),
    "validation_images": Field(
        int, "images that are validated on, the first of the split", 64, 1, 65_536
    ),
    "keep_best_by": Field(
        str,
        'score of the validation whose best checkpoint stays beside the newest; "": none stays',
        "",
        choices=("", *SCORES, *(f"ema_{score}" for score in SCORES)),
    ),
    "ema_decay": Field(
        float,
        "decay of a moving average of the weights, kept beside them; 0: none",
        0.0,
        **_FRACTION,
    ),
    "accumulate": Field(
        int,
        "micro-batches that a batch is cut into, to need less memory; the step stays the same",
        1,
        1,
        65_536,
    ),
    "freeze": Field(
        str,
        'parts of the network whose weights stay as they are: "encoder", "prior_encoder", ...',
        (),
        length=(0, 64),
    ),
    "init_from": Field(
        str,
        "what the first weights are taken from: work directory, model file or official checkpoint;"
        ' "": drawn at random',
        "",
    ),
    "init_step": Field(
        str, 'of a work directory to start from: a step, or "best"; "": the newest', ""
    ),
    "init_weights": Field(
        str,
        "of a work directory to start from: its weights, or their moving average",
        "trained",
        choices=WEIGHTS,
    ),
}

_EVALUATION = {
    "protocol": Field(
        str,
        "what is scored: several graders, or instances",
        "graders",
        choices=("graders", "instances", "snemi3d", "cityscapes"),
        formerly=("lidc",),
    ),
    "absent": Field(
        str,
        "graders: IoU of a class that two maps both lack: 1, or left out; None: by the classes",
        None,
        choices=("one", "nan"),
    ),
    "tile": Field(
        int,
        "of whole images: greatest height and width that a model sees at once",
        (1024, 1024),
        **_SIDE,
        length=(2, 2),
    ),
    "split": Field(str, "the split that is scored"),
    "num_samples": Field(int, "samples of each image", low=1, high=65_536),
    "batch_size": Field(int, "images in a batch; changes no score", low=1, high=65_536),
    "bootstraps": Field(int, "resamplings of the standard errors", low=1, high=1_000_000),
    "seed": Field(int, "of samples, clustering and bootstraps", **_SEED),
    "hamming_threshold": Field(
        int, "instances: greatest Hamming distance within a cluster (Appendix G)", 16, 0, 131_072
    ),
    "erosion": Field(
        int, "instances: side of the square that a cluster has room for", 5, 1, 1001, odd=True
    ),
    "neighbourhood": Field(
        int, "instances: side of the box of neighbours (Appendix H)", 11, 1, 1001, odd=True
    ),
    "min_region": Field(
        int, "instances, cityscapes: pixels of an object whose precision counts", 25, 1, 1_000_000
    ),
}

_MESH = {
    "data": Field(
        int,
        "devices that a batch is split over; -1: those left",
        low=1,
        high=1_000_000,
        besides=(-1,),
    ),
    "space": Field(int, "devices that an image's rows are split over", low=1, high=_SIDE["high"]),
    "min_rows": Field(
        int, "levels with fewer rows are split by image instead", low=0, high=_SIDE["high"]
    ),
    "shard_optimizer": Field(bool, "whether Adam's moments are split over `data` (ZeRO-1)"),
}


@functools.cache
def schema(network: str = "hpunet") -> Mapping[str, Field]:
    """All fields of a config by their dotted names, in the order of a config file.

    Args:
      network: `model.name`, on which the fields of the section `model` depend.
    """
    augmentation = fields_of(Augmentation)
    sections = {
        "data": {**_DATA, "crop": augmentation.pop("crop")},
        "data.augmentation": augmentation,
        "data.extrapolation": fields_of(Extrapolation),
        "model": {
            "name": Field(str, "the network", choices=tuple(NETWORKS)),
            **fields_of(NETWORKS[network], _MODEL),
        },
        "objective": _OBJECTIVE,
        "optimizer": _OPTIMIZER,
        "training": _TRAINING,
        "evaluation": _EVALUATION,
        "mesh": _MESH,
    }
    return types.MappingProxyType(
        {
            f"{section}.{name}": field
            for section, fields in sections.items()
            for name, field in fields.items()
        }
    )


@functools.cache
def section_names() -> frozenset[str]:
    """The dotted names of all sections and their parts, such as "optimizer.learning_rate"."""
    names = [name.split(".") for name in schema()]
    return frozenset(".".join(name[:i]) for name in names for i in range(1, len(name)))
