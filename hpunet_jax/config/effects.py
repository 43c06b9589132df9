"""Which fields of a config change the weights, which the scores, and which neither.

Each is a tuple of beginnings of dotted names, for `differences(a, b, apart_from)`.
"""

PLACES = ("data.dir", "data.cache_dir")
"""Where the data lie on this machine."""

NO_RESULTS = (
    *PLACES,
    "training.log_every",
    "training.checkpoint_every",
    "training.keep_",
    "training.validat",
    "training.accumulate",
    "evaluation.batch_size",
    "mesh.",
    "model.remat",
    "model.blocks",
)
"""What changes neither weights nor scores, but for rounding: places, reports, devices, memory."""

NO_SCORES = (*NO_RESULTS, "evaluation.bootstraps", "evaluation.split")
"""What changes neither weights nor the scores of an image."""

NO_WEIGHTS = (*NO_RESULTS, "evaluation.")
"""What changes no weights."""
