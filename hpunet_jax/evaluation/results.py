"""Where the results of an evaluation lie, and what they were computed from.

Results of another split, of fewer images, or of another checkpoint have other names, so that none
overwrites those of another:

  evaluation_<split>_step<step>[_ema][_first<limit>].npz     the scores of each image
  evaluation_<split>_step<step>[_ema][_first<limit>].json    means and bootstrap errors
  evaluation_<split>_step<step>[_ema][_first<limit>].md      the same as a Markdown table

With --num_samples=16,100 the names end in _samples16-100. A model file has no step; the digest of
its weights stands in its place.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections

from hpunet_jax.config import PLACES, to_json

METRICS_VERSION = 3
"""Of the definitions of all scores; raised where one changes, so that nothing older is compared.

2: pixels ignored by one grader are left out of all pairs of an image; samples are seeded by image.
3: graders are also scored by best of N, matched Dice, calibration errors, Brier score, correlation
   of uncertainties and AURC; what version 2 has is unchanged but for rounding. GED² of one of two
   graders is that of N samples drawn from both.
"""

# Fields of `evaluation` that change no image's scores.
_CHANGE_NOTHING = ("batch_size", "bootstraps", "split")

# Fields of `training`, by their beginning, that change no weights.
_OF_RUNNING = ("log_every", "checkpoint_every", "keep_", "validat", "accumulate")


def result_name(
    split: str,
    limit: int | None,
    step: int | None,
    weights: str,
    numbers: Sequence[int] = (),
    *,
    ema: bool = False,
    data: str | None = None,
) -> str:
    """The name of an evaluation's files, without their suffix.

    Args:
      split: the split; parts of one, as test[:100], are spelt out of letters.
      limit: how many of its first images are evaluated; None: all.
      step: the step of the checkpoint; None: of a model file, which has none.
      weights: the weights' digest, `Model.digest`.
      numbers: numbers of samples by which the model is scored besides.
      ema: whether the weights are the checkpoint's moving average of them.
      data: the data set, if it is not the one that the model was trained on.
    """

    # [:100%] are characters that shells or some file systems treat as their own
    def spelt(text: str, allowed: str = "-.") -> str:
        return "".join(c if c.isalnum() or c in allowed else f"={ord(c):02x}" for c in text)

    of_model = f"weights-{weights}" if step is None else f"step{step}{'_ema' * ema}"
    of_images = f"_first{limit}" if limit else ""
    of_samples = f"_samples{'-'.join(map(str, numbers))}" if numbers else ""
    of_data = f"_on-{spelt(data, '-._')}" if data else ""
    return f"evaluation_{spelt(split)}{of_data}_{of_model}{of_images}{of_samples}"


def origin(
    config: ml_collections.ConfigDict,
    *,
    weights: str,
    step: int | None,
    data: str,
    data_digest: str,
    split: str,
    limit: int | None,
    numbers: Sequence[int] = (),
) -> dict[str, Any]:
    """What scores are computed from; if it is equal, they are.

    Args:
      config: the model's config.
      weights: the weights' digest.
      step: the step of the checkpoint, or None.
      data: the data set's full name.
      data_digest: its `fingerprint`.
      split: the split.
      limit: how many of its first images; None: all.
      numbers: numbers of samples by which the model is scored besides.

    Returns:
      A JSON object, to be kept in the settings of the scores.
    """
    return {
        "metrics_version": METRICS_VERSION,
        "weights": weights,
        "step": step,
        "data": data,
        "data_digest": data_digest,
        "split": split,
        "limit": limit,
        "numbers_of_samples": list(numbers),
        "config": scored_config(config),
    }


def scored_config(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """All of a config but what changes neither the network nor the scores, as JSON."""
    fields = json.loads(to_json(config))
    for place in PLACES:
        fields.get("data", {}).pop(place.removeprefix("data."), None)
    for name in _CHANGE_NOTHING:
        fields.get("evaluation", {}).pop(name, None)
    fields.pop("mesh", None)
    for name in list(fields.get("training", {})):
        if name.startswith(_OF_RUNNING):
            del fields["training"][name]
    return fields


def why_not_comparable(a: Mapping[str, Any], b: Mapping[str, Any]) -> str | None:
    """How the settings of two evaluations differ that should be in one table.

    Models may differ; what they are scored on, and how, may not.

    Args:
      a: settings of scores.
      b: settings of others.

    Returns:
      The first difference, as "split, 'test' and 'validation'"; None if there is none.
    """
    for name in sorted({*a, *b} - {"weights", "step", "config"}):
        if a.get(name) != b.get(name):
            return f"{name}, {a.get(name)!r} and {b.get(name)!r}"
    return None
