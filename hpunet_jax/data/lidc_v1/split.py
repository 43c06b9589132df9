"""Which slices are for training, validation and testing: 60, 20 and 20 % of the patients.

Nobody's split of these slices can be drawn again: Knegt's Probabilistic U-Net in PyTorch
(github.com/stefanknegt/Probabilistic-Unet-Pytorch, train_model.py) shuffles slices without a seed;
PHiSeg's code (github.com/baumgach/PHiSeg-code, data/lidc_data_loader.py), which most papers follow,
splits the sorted series by scikit-learn's `train_test_split`, 20 % for testing and then 20 % of the
rest for validation (papers say 60:20:20), without a seed either. The HDF5 file that it writes holds
the split, and is read with it. Here the same rule has the seed 0, and 25 % of the rest; slices
whose names begin with a patient's (LIDC-IDRI-0001) go by patient, so that no two scans of a patient
are in different parts.
"""

import math
import re
from collections.abc import Mapping

import numpy as np

_PATIENT = re.compile(r"LIDC-IDRI-\d{4}")


def draw_split(series: Mapping[str, str], seed: int = 0) -> dict[str, str]:
    """Draws a split by patient, or by series where names tell no patient.

    Args:
      series: {slice: its series UID}.
      seed: of `train_test_split`, its `random_state`.

    Returns:
      {slice: "train", "val" or "test"}, in the order given.
    """
    subjects = {name: _subject(name, uid) for name, uid in series.items()}
    rest, test = _train_test_split(sorted(set(subjects.values())), 0.2, seed)
    _, validation = _train_test_split(rest, 0.25, seed)
    part = {**dict.fromkeys(test, "test"), **dict.fromkeys(validation, "val")}
    return {name: part.get(subject, "train") for name, subject in subjects.items()}


def _subject(name: str, uid: str) -> str:
    match = _PATIENT.match(name)
    return match[0] if match else uid


def _train_test_split(subjects: list[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """What scikit-learn's function of this name gives."""
    order = np.random.RandomState(seed).permutation(len(subjects))
    number = math.ceil(share * len(subjects))
    chosen = [subjects[place] for place in order]
    return chosen[number:], chosen[:number]
