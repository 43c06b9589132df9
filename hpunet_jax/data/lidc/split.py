"""LIDC-IDRI (Appendix C): which patients are for training, validation and testing.

The paper's own assignment was not published as a list; only its sizes are known: 722 patients for
training, 144 for validation and 144 for testing.
"""

import json
import os
import pathlib
from collections.abc import Collection

import numpy as np

SIZES = {"train": 722, "val": 144, "test": 144}
# All patients of LIDC-IDRI: two numbers were never given.
PATIENTS = [f"LIDC-IDRI-{number:04d}" for number in range(1, 1013) if number not in (238, 585)]


def draw_split(patients: Collection[str], seed: int = 0) -> dict[str, str]:
    """Draws a split by patient.

    If all patients are LIDC-IDRI's, its 1,010 patients are drawn from, so that the result for a
    patient does not depend on which others have been downloaded.

    Args:
      patients: their names, in any order.
      seed: determines the draw.

    Returns:
      "train", "val" or "test" by patient; for patients of LIDC-IDRI, 722, 144 and 144 of all
      1,010; else in this proportion.
    """
    everyone = PATIENTS if set(patients) <= set(PATIENTS) else sorted(set(patients))
    drawn = np.random.default_rng(seed).permutation(everyone).tolist()
    ends = np.cumsum(list(SIZES.values())) * len(drawn) // sum(SIZES.values())
    split = np.repeat(list(SIZES), np.diff(ends, prepend=0)).tolist()
    return dict(sorted(zip(drawn, split, strict=True)))


def read_split(path: str | os.PathLike[str]) -> dict[str, str]:
    """Reads a split from a file.

    Args:
      path: JSON, {"train": [patient, ...], "val": [...], "test": [...]}.

    Returns:
      "train", "val" or "test" by patient.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is not of this form, or a patient stands in it twice.
    """
    try:
        content = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} does not exist; expected a patient split.") from error
    except ValueError as error:
        raise ValueError(f"{path} is no JSON file: {error}.") from error
    known = isinstance(content, dict) and set(SIZES) >= set(content)
    if not known or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names)
        for names in content.values()
    ):
        raise ValueError(
            f'{path} is no patient split; expected {{"train": [...], "val": [...], "test": [...]}} '
            "with the patients' names."
        )
    split: dict[str, str] = {}
    for part, names in content.items():
        for name in names:
            if name in split:
                raise ValueError(f"{path} has the patient {name!r} twice; expected each once.")
            split[name] = part
    return split


def split_to_json(split: dict[str, str]) -> str:
    """A split as the text of a file that `read_split` reads."""
    lists = {part: sorted(p for p, chosen in split.items() if chosen == part) for part in SIZES}
    return json.dumps(lists, indent=1)
