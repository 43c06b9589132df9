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
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import ml_collections

from hpunet_jax.config import NO_SCORES, differences, from_json, to_json

METRICS_VERSION = 3
"""Of the definitions of all scores; raised where one changes, so that nothing older is compared.

2: pixels ignored by one grader are left out of all pairs of an image; samples are seeded by image.
3: graders are also scored by best of N, matched Dice, calibration errors, Brier score, correlation
   of uncertainties and AURC; what version 2 has is unchanged but for rounding. GED² of one of two
   graders is that of N samples drawn from both.
"""

_TRAINED_ON = "trained_on"  # left out where it is not known

# Fields that decide which examples a data set holds.
_BUILT_BY = tuple(
    f"data.{name}"
    for name in (
        *("name", "size", "bits", "foreground"),
        *("window", "percentiles", "spacing", "scale", "hdf5"),
    )
)

# From which fields of a config a setting of scores follows, by their beginnings; if not named here,
# from those of `_OF_PROTOCOL`.
_FOLLOWS_FROM: Mapping[str, tuple[str, ...]] = {
    "metrics_version": (),
    "limit": (),
    "numbers_of_samples": (),
    "split": ("evaluation.split",),
    "data": _BUILT_BY,
    "data_digest": _BUILT_BY,
    _TRAINED_ON: _BUILT_BY,
}
_OF_PROTOCOL = ("data.", "evaluation.", "model.num_classes")


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
    trained_on: str | None = None,
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
      trained_on: the `fingerprint` of the data that the model was trained on; None: not known.

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
        **({} if trained_on is None else {_TRAINED_ON: trained_on}),
    }


def scored_config(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """All of a config but what changes neither the network nor the scores, as JSON."""
    return _without(json.loads(to_json(config)), NO_SCORES)


def is_of(settings: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Whether scores are what is asked for.

    Args:
      settings: those of the scores, which may have more than those asked for.
      asked: what `origin` gives, or a part of it. A field of the config that only one of the two
        knows has its default in the other.
    """
    others = {name: value for name, value in asked.items() if name != "config"}
    if {**settings, **others} != settings:
        return False
    return "config" not in asked or not config_differences(settings, asked["config"])


def config_differences(
    settings: Mapping[str, Any], config: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """The fields in which scores are of another config, with both values, as of `differences`.

    Args:
      settings: those of the scores; without a config they differ in all fields.
      config: what `scored_config` gives.
    """
    one, other = (from_json(json.dumps(x)) for x in (settings.get("config") or {}, config))
    return differences(one, other, NO_SCORES)


def why_not_comparable(
    a: Mapping[str, Any], b: Mapping[str, Any], fields: Collection[str] = ()
) -> str | None:
    """How the settings of two evaluations differ that should be in one table.

    Models may differ; what they are trained and scored on, and how, may not.

    Args:
      a: settings of scores.
      b: settings of others.
      fields: dotted names of fields of the config in which the table's rows are meant to differ;
        so may what follows from them.

    Returns:
      The first difference, as "split, 'test' and 'validation'"; None if there is none.
    """
    unknown = {_TRAINED_ON} - (a.keys() & b.keys())
    for name in sorted({*a, *b} - {"weights", "step", "config"} - unknown):
        follows_from = _FOLLOWS_FROM.get(name, _OF_PROTOCOL)
        meant = any(field.startswith(follows_from) for field in fields)
        if a.get(name) != b.get(name) and not meant:
            return f"{name}, {a.get(name)!r} and {b.get(name)!r}"
    return None


def _without(
    fields: Mapping[str, Any], beginnings: tuple[str, ...], prefix: str = ""
) -> dict[str, Any]:
    """Nested fields but those whose dotted names begin so, and sections that become empty."""
    left: dict[str, Any] = {}
    for name, value in fields.items():
        whole = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            value = _without(value, beginnings, f"{whole}.")
            if value:
                left[name] = value
        elif not whole.startswith(beginnings):
            left[name] = value
    return left
