"""Checking a config before anything starts: each field by the schema, then fields together."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, no_type_check

import ml_collections

from hpunet_jax.augmentation import Augmentation, Extrapolation
from hpunet_jax.config.schema import NETWORKS, OPTIONAL_SECTIONS, schema, section_names
from hpunet_jax.config.serialization import flatten
from hpunet_jax.fields import REQUIRED, Field, Section
from hpunet_jax.networks import build_network, check_image_shape
from hpunet_jax.tasks.targets import stochastic_classes

SECTIONS = ("data", "model", "objective", "optimizer", "training", "evaluation", "mesh")


@no_type_check
def check_config(config: Section, sections: Sequence[str] = SECTIONS) -> None:
    """Refuses a config that could not be run as it is meant; takes milliseconds.

    Args:
      config: the config.
      sections: the sections to look at; a loaded model, for instance, needs ("model",) only.

    Raises:
      ValueError: names the field, its value and what is expected; for an unknown field, the nearest
        known name.
    """
    if not isinstance(config, Mapping | ml_collections.ConfigDict):
        raise ValueError(
            "a config must be an ml_collections.ConfigDict, as get_config() returns it, not "
            f"{config!r}."
        )
    if set(sections) != set(SECTIONS):
        config = {name: config[name] for name in sections if name in config}
    known = _schema_of(config) if "model" in sections else schema()
    values = _fields(config, known)
    for name, value in values.items():
        known[name].check(name, value)
    for name, field in known.items():
        if field.required and name not in values and name.split(".")[0] in sections:
            raise ValueError(_missing(name, field))
    values = {**_defaults(config, known), **values}
    for used, check in _RELATIONS:
        if set(used) <= set(sections):
            check(config, values)


@no_type_check
def check_overrides(config: Section, fields: Mapping[str, int]) -> None:
    """Refuses overrides that cannot be meant: of fields that the config lacks, or in pieces.

    Args:
      config: the config.
      fields: the dotted name of each field, or section, that is to be overridden, and how often it
        is given.

    Raises:
      ValueError: names the field, and for an unknown one the nearest known name.
    """
    known, values = _schema_of(config), flatten(config)
    for name, times in fields.items():
        if name not in values and not any(other.startswith(f"{name}.") for other in values):
            if name in known:
                raise ValueError(
                    f"the config does not set {name}, so it cannot be overridden: set it in a "
                    "config file."
                )
            raise ValueError(_unknown(name, {**known, **values}))
        if times > 1 and isinstance(values.get(name), tuple):
            raise ValueError(
                f"{name} is given {times} times: give all its entries at once, separated by commas."
            )


def value_of(config: Section, name: str) -> Any:
    """The value of a field of a config, or its default if the config lacks it.

    Args:
      config: the config, maybe of an older run.
      name: the field's dotted name, such as "evaluation.min_region".

    Raises:
      ValueError: if there is no such field, or the config lacks one that has no default.
    """
    known = _schema_of(config)
    if name not in known:
        raise ValueError(_unknown(name, known))
    value = flatten(config).get(name, known[name].default)
    if value is REQUIRED:
        raise ValueError(_missing(name, known[name]))
    return value


def differences(
    old: Section, new: Section, apart_from: tuple[str, ...] = ()
) -> dict[str, tuple[Any, Any]]:
    """The fields in which two configs differ, with both values.

    A field that one of them lacks has its default there, or else is None. Fields whose names begin
    with one of `apart_from` are not looked at.
    """
    a, b = (_with_defaults(config) for config in (old, new))
    return {
        name: (a.get(name), b.get(name))
        for name in sorted(a.keys() | b.keys())
        if a.get(name) != b.get(name) and not name.startswith(apart_from)
    }


def shown_differences(changed: Mapping[str, tuple[Any, Any]]) -> str:
    """What `differences` gives, at least one, for a sentence about a run that is there."""
    name, (old, new) = next(iter(changed.items()))
    others = f" ({len(changed)} such fields: {', '.join(changed)})" if len(changed) > 1 else ""
    return f"{name} is {old!r} there and {new!r} here{others}"


def _schema_of(config: Section) -> Mapping[str, Field]:
    """The fields that the config's network has; raises a `ValueError` if it names none."""
    model = config.get("model")
    if model is None or not _is_section(model):
        raise ValueError(f"the config must have a section `model`, not {model!r}.")
    name = model.get("name")
    schema()["model.name"].check("model.name", name)
    return schema(name)


def _fields(config: Section, known: Mapping[str, Field], prefix: str = "") -> dict[str, Any]:
    """The values of all fields by their dotted names; each is a known one."""
    sections = section_names()
    values: dict[str, Any] = {}
    for key, value in _items(config, prefix):
        name = f"{prefix}{key}"
        if name in known:
            values[name] = value
        elif name not in sections:
            raise ValueError(_unknown(name, known))
        elif _is_section(value):
            values |= _fields(value, known, f"{name}.")
        elif value is not None or name not in OPTIONAL_SECTIONS:
            raise ValueError(f"{name} must be a section of the config, not {value!r}.")
    return values


def _items(config: Section, prefix: str) -> list[tuple[str, Any]]:
    try:
        return list(config.items())
    except ml_collections.config_dict.RequiredValueError as error:
        section = prefix.rstrip(".") or "the config"
        raise ValueError(f"a required placeholder of {section} is empty.") from error


def _is_section(value: Any) -> bool:
    return isinstance(value, Mapping | ml_collections.ConfigDict)


def _defaults(config: Section, known: Mapping[str, Field]) -> dict[str, Any]:
    """The defaults of all fields that have one; those of optional sections if they are there."""
    data = config.get("data", {})
    absent = tuple(f"{name}." for name in OPTIONAL_SECTIONS if data.get(name.split(".")[1]) is None)
    return {
        name: field.default
        for name, field in known.items()
        if not field.required and not name.startswith(absent)
    }


def _with_defaults(config: Section) -> dict[str, Any]:
    network = config.get("model", {}).get("name")
    known = schema(network) if network in NETWORKS else {}
    return {**_defaults(config, known), **flatten(config)}


def _missing(name: str, field: Field) -> str:
    return f"the config lacks the field {name}: it must be {field.expected}."


@no_type_check
def _unknown(name: str, known: Mapping[str, Field]) -> str:
    """The sentence about a field that does not exist, with the nearest one that does."""
    last = name.rpartition(".")[2]
    elsewhere = [other for other in known if other.rpartition(".")[2] == last]
    names = [*known, *section_names()]
    near = elsewhere or difflib.get_close_matches(name, names, n=1, cutoff=0.0)
    return f"the config has the unknown field {name}: did you mean {near[0]}?"


# Fields together. Each check gets the config and the values of all fields, defaults included.


def _network(config: Section, values: Mapping[str, Any]) -> None:
    network = build_network(config["model"])
    if "data.crop" in values:
        shape = (*values["data.crop"], values["model.image_channels"])
        check_image_shape(network, shape, "data.crop")


def _augmentation(config: Section, values: Mapping[str, Any]) -> None:
    Augmentation.from_config(config["data"]["augmentation"], crop=tuple(values["data.crop"]))


def _size(config: Section, values: Mapping[str, Any]) -> None:
    if len(values["data.size"]) == 1:
        raise ValueError(
            f"data.size must be a height and a width, or (), not {values['data.size']}."
        )


def _preparation(config: Section, values: Mapping[str, Any]) -> None:
    from hpunet_jax.io import Preparation  # readers of all kinds of files: slow to import

    Preparation.from_config(config["data"])


def _extrapolation(config: Section, values: Mapping[str, Any]) -> None:
    if Extrapolation.from_config(config["data"].get("extrapolation")) is None:
        return
    classes, channels = values["model.num_classes"], values["model.image_channels"]
    if channels < classes + 2:
        raise ValueError(
            f"model.image_channels is {channels}, but with data.extrapolation a model of {classes} "
            f"classes needs {classes + 2} or more: the image, one channel for each class, and what "
            "is visible."
        )


def _instances(config: Section, values: Mapping[str, Any]) -> None:
    if values["data.num_ids"] is not None:
        stochastic_classes(values["model.num_classes"], values["data.num_ids"])


def _objective(config: Section, values: Mapping[str, Any]) -> None:
    needed = {"geco": ("kappa", "decay", "rate"), "elbo": ("beta",)}
    for field in needed[values["objective.name"]]:
        if values[f"objective.{field}"] is None:
            raise ValueError(
                f"objective.{field} is missing: {values['objective.name']!r} needs it."
            )


def _learning_rate(config: Section, values: Mapping[str, Any]) -> None:
    prefix = "optimizer.learning_rate."
    initial, final, drops, boundaries = (
        values[f"{prefix}{name}"] for name in ("initial", "final", "drops", "boundaries")
    )
    if drops and final > initial:
        raise ValueError(
            f"{prefix}final is {final}, above {prefix}initial={initial}: the rate is lowered."
        )
    if boundaries and len(boundaries) != drops:
        raise ValueError(
            f"{prefix}boundaries has {len(boundaries)} entries, but {prefix}drops is {drops}: give "
            "one step for each drop, or ()."
        )
    if sorted(set(boundaries)) != list(boundaries):
        raise ValueError(f"{prefix}boundaries must ascend, not be {tuple(boundaries)}.")


def _batch(config: Section, values: Mapping[str, Any]) -> None:
    height, width = values["data.crop"]
    images = values["training.batch_size"]
    if images * height * width >= 2**31:
        raise ValueError(
            f"training.batch_size={images} of {height}x{width} pixels (data.crop) are more than "
            "2**31 pixels in a batch, as many as can be numbered: choose a smaller batch or crop."
        )


def _validation(config: Section, values: Mapping[str, Any]) -> None:
    score = values["training.keep_best_by"]
    if not score:
        return
    if not values["training.validate_every"]:
        raise ValueError(
            f"training.keep_best_by is {score!r}, but nothing is validated: set "
            "training.validate_every to a number of steps."
        )
    name = score.removeprefix("ema_")
    if name != score and not values["training.ema_decay"]:
        raise ValueError(
            f"training.keep_best_by is {score!r}, but there is no moving average of the weights: "
            f"set training.ema_decay, or keep the best by {name!r}."
        )
    protocol = values["evaluation.protocol"]
    of_instances = ("reconstruction_iou", "rand_error")
    known = {
        "snemi3d": of_instances,
        "instances": (*of_instances, "average_precision"),
        "cityscapes": (*of_instances, "average_precision"),
    }.get(protocol, ("ged2", "hungarian_iou", "reconstruction_iou"))
    if config["data"].get("extrapolation") is not None:
        known = ()
    known = ("loss", "reconstruction_per_pixel", "kl_sum", *known)
    if name not in known:
        raise ValueError(
            f"training.keep_best_by is {score!r}, which the validation of this config "
            f"(evaluation.protocol={protocol!r}) does not give: choose one of {', '.join(known)}."
        )


def _micro_batches(config: Section, values: Mapping[str, Any]) -> None:
    images, parts = values["training.batch_size"], values["training.accumulate"]
    if images % parts:
        raise ValueError(
            f"training.accumulate={parts} does not divide training.batch_size={images} evenly, "
            "into micro-batches of equal size."
        )


def _start(config: Section, values: Mapping[str, Any]) -> None:
    step = values["training.init_step"]
    if step not in ("", "best") and not (step.isascii() and step.isdecimal()):
        raise ValueError(
            f'training.init_step must be the number of a step, "best" or "" (the newest), not '
            f"{step!r}."
        )


def _protocol(config: Section, values: Mapping[str, Any]) -> None:
    protocol = values["evaluation.protocol"]
    if protocol in ("graders", "lidc"):
        return
    if values["data.num_ids"] is None:
        raise ValueError(
            f"evaluation.protocol is {protocol!r}, which scores instances, but data.num_ids is "
            "missing, the number of labels that they are mapped to: give it, or take 'graders'."
        )
    samples, threshold = values["evaluation.num_samples"], values["evaluation.hamming_threshold"]
    if threshold >= 2 * samples:
        raise ValueError(
            f"evaluation.hamming_threshold={threshold} makes everything background, since with "
            f"evaluation.num_samples={samples} no two pixels are further apart than {2 * samples}: "
            f"the paper takes {samples} for so many samples."
        )


# The sections that each looks at.
_RELATIONS: tuple[tuple[tuple[str, ...], Callable[[Section, Mapping[str, Any]], None]], ...] = (
    (("model",), _network),
    (("data",), _augmentation),
    (("data",), _size),
    (("data",), _preparation),
    (("data", "model"), _extrapolation),
    (("data", "model"), _instances),
    (("objective",), _objective),
    (("optimizer",), _learning_rate),
    (("data", "training"), _batch),
    (("training",), _micro_batches),
    (("training",), _start),
    (("data", "training", "evaluation"), _validation),
    (("data", "evaluation"), _protocol),
)
