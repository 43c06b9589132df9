"""Which fields of a config change the weights, which the scores, and which neither.

Each is a tuple of beginnings of dotted names, for `differences(a, b, apart_from)`.
"""

PLACES = ("data.dir", "data.cache_dir")
"""Where the data lie on this machine: neither what is trained nor what is scored depends on it."""

RUNNING = (
    "training.log_every",
    "training.checkpoint_every",
    "training.keep_",
    "training.validat",
    "training.accumulate",
    "mesh.",
    "model.remat",
    "model.blocks",
)
"""How a training is run: reports, checkpoints, devices and memory. It changes rounding at most."""

NO_SCORES = (
    *PLACES,
    *RUNNING,
    "evaluation.batch_size",
    "evaluation.bootstraps",
    "evaluation.split",
)
"""What changes neither weights nor the scores of an image."""

NO_WEIGHTS = (*PLACES, *RUNNING, "evaluation.")
"""What changes no weights."""
