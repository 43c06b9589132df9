"""What the values of own masks mean (Appendix C): the optional `dataset.json`, in nnU-Net's form.

    {"labels": {"background": 0, "vessel": 255, "ignore": 128}, "channel_names": {"0": "CT"},
     "file_ending": ".nii.gz"}

Classes are numbered by ascending value, so that files may have any; `ignore` is left out. Without
such a file the value is the class, and 255 is left out.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from hpunet_jax.io.stored import read_bytes
from hpunet_jax.labels import IGNORED

NAME = "dataset.json"
_IGNORE = "ignore"  # nnU-Net's name for what takes no part


@dataclasses.dataclass(frozen=True)
class Description:
    """What is said about a data set beside its images.

    Attributes:
      classes: the names of the classes by their values in the files, ascending; (): the value is
        the class.
      ignored: the value of pixels to ignore; None: there is none.
      channels: the names of the channels, such as "CT"; (): nobody says.
      file_ending: the suffix of images and masks, in small letters; "": any.
      foreground: 255 for masks of 0 and 255, whose 255 becomes class 1 and nothing is ignored; 1
        for masks whose 255 means ignore; None: nobody has said so.
    """

    classes: Mapping[int, str] = dataclasses.field(default_factory=dict)
    ignored: int | None = IGNORED
    channels: tuple[str, ...] = ()
    file_ending: str = ""
    foreground: int | None = None

    @property
    def says(self) -> bool:
        """Whether somebody has said what 255 means in masks of 0 and 255."""
        return bool(self.classes) or self.foreground is not None

    def classes_of(self, mask: np.ndarray) -> np.ndarray:
        """The classes of a mask's values.

        Args:
          mask: uint8 of any shape.

        Returns:
          uint8 of the same shape, `IGNORED` for what takes no part, and for values that are not
          described (`unknown`).
        """
        table = np.arange(256, dtype=np.uint8)
        if self.classes:
            table[:] = IGNORED
            table[list(self.classes)] = np.arange(len(self.classes))
        elif self.foreground == IGNORED:
            table[IGNORED] = 1
        return table[mask]

    def unknown(self, values: frozenset[int]) -> list[int]:
        """The values of a mask that the description does not know."""
        known = {*self.classes, *(() if self.ignored is None else (self.ignored,))}
        return sorted(values - known) if self.classes else []


def read_description(folder: str | os.PathLike[str], foreground: int | None = None) -> Description:
    """Reads `dataset.json`, if it is there.

    Args:
      folder: the data set.
      foreground: what 255 means where the file does not say it, `data.foreground`.

    Raises:
      ValueError: if the file is no such description; the message names it.
      OSError: if it cannot be read at all.
    """
    path = pathlib.Path(folder) / NAME
    if not path.is_file():
        return Description(foreground=foreground)
    try:
        fields = json.loads(read_bytes(path).decode("utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON file ({error}).") from error
    if not isinstance(fields, dict):
        raise ValueError(f"{path} must hold an object, as nnU-Net's does, not {fields!r:.80}.")
    labels = _numbered(fields.get("labels", {}), path)
    channels = fields.get("channel_names", fields.get("modality", {}))
    if not isinstance(channels, dict):
        raise ValueError(f'{path}: channel_names must be an object such as {{"0": "CT"}}.')
    ending = fields.get("file_ending", "")
    if not isinstance(ending, str) or (ending and not ending.startswith(".")):
        raise ValueError(f"{path}: file_ending must be a suffix such as .nii.gz, not {ending!r}.")
    ignored = [value for value, name in labels.items() if name == _IGNORE]
    classes = {value: name for value, name in labels.items() if name != _IGNORE}
    if not ignored and IGNORED not in classes:
        ignored = [IGNORED]
    return Description(
        classes=classes,
        ignored=ignored[0] if ignored else None,
        channels=tuple(str(name) for _, name in sorted(channels.items())),
        file_ending=ending.lower(),
        foreground=foreground,
    )


def _numbered(labels: Any, path: pathlib.Path) -> dict[int, str]:
    """Names by value, ascending; nnU-Net's first version had them the other way round."""
    if not isinstance(labels, dict):
        raise ValueError(f'{path}: labels must be an object such as {{"background": 0}}.')
    if all(str(key).isdecimal() for key in labels):
        if not all(isinstance(name, str) for name in labels.values()):
            raise ValueError(f"{path}: labels must be numbers by names, or names by numbers.")
        if len(set(labels.values())) < len(labels):
            raise ValueError(f"{path}: labels must have names of their own: {labels}.")
        labels = {name: int(value) for value, name in labels.items()}
    names: dict[int, str] = {}
    for name, value in labels.items():
        if isinstance(value, list):
            raise ValueError(
                f"{path}: label {name!r} is a region of several values, {value}: regions overlap, "
                "which one class for each pixel cannot say; give each value a name of its own."
            )
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= IGNORED:
            raise ValueError(
                f"{path}: label {name!r} is {value!r}: expected an integer from 0 to {IGNORED}."
            )
        if value in names:
            raise ValueError(f"{path}: {names[value]!r} and {name!r} have the same value {value}.")
        names[value] = str(name)
    return dict(sorted(names.items()))
