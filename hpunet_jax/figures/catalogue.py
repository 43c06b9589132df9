"""The paper's figures by their numbers: which runs they show, and how (Figs. 2-15).

Figures 4, 5 and 11 are also made of the data set `vnc`, as fig4_vnc, fig5_vnc and fig11_vnc.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

CURVES = "curves.png"


class Picture(NamedTuple):
    """One picture of a figure; a figure that compares two models has two.

    Attributes:
      config: the config of the runs it shows.
      kind: the file name that `figures.model.model_figures` gives such a picture, or `CURVES`.
      num_examples: how many test images it shows.
      worst: a metric: shows the images that score worst in it. None: images spread over the split.
    """

    config: str
    kind: str
    num_examples: int = 0
    worst: str | None = None


FIGURES: Mapping[str, tuple[Picture, ...]] = {
    "fig2": (Picture("lidc_hpunet", "samples.png", 2), Picture("lidc_spunet", "samples.png", 2)),
    "fig3": (Picture("lidc_hpunet", "scales.png", 2),),
    "fig4": (
        Picture("snemi3d_hpunet", "instances.png", 3),
        Picture("snemi3d_spunet", "instances.png", 3),
    ),
    "fig5": (Picture("snemi3d_extrapolation", "extrapolation.png", 4),),
    "fig6": (Picture("cityscapes_hpunet", "instances.png", 5),),
    "fig7": (Picture("lidc_hpunet", CURVES),),
    "fig8": (Picture("snemi3d_hpunet", CURVES),),
    "fig9": (Picture("lidc_hpunet", "samples.png", 8),),
    "fig10": (Picture("lidc_spunet", "samples.png", 8),),
    "fig11": (Picture("snemi3d_hpunet", "instances.png", 8),),
    "fig12": (Picture("snemi3d_spunet", "instances.png", 8),),
    "fig13": (Picture("cityscapes_hpunet", "instances.png", 4),),
    "fig14": (Picture("cityscapes_hpunet", "instances.png", 4, worst="rand_error"),),
    "fig15": (Picture("cityscapes_hpunet", "scales.png", 1),),
    "fig4_vnc": (
        Picture("vnc_hpunet", "instances.png", 3),
        Picture("vnc_spunet", "instances.png", 3),
    ),
    "fig5_vnc": (Picture("vnc_extrapolation", "extrapolation.png", 4),),
    "fig11_vnc": (Picture("vnc_hpunet", "instances.png", 8),),
}


def spread_over(count: int, shown: int) -> list[int]:
    """Some numbers spread evenly over a split; all if there are fewer.

    Args:
      count: number of examples in the split.
      shown: how many to show.

    Returns:
      `shown` numbers from 0, ascending.
    """
    shown = min(shown, count)
    return [count * (2 * i + 1) // (2 * shown) for i in range(shown)]


def choose_examples(scores: Mapping[str, np.ndarray], picture: Picture) -> list[int]:
    """The numbers of the test images that a picture shows; the same ones for every model.

    Args:
      scores: the model's score of each image, {metric: [images]}.
      picture: the picture.

    Returns:
      Numbers spread evenly over the images, or those of the highest `picture.worst`, the highest
      first; all if there are fewer.

    Raises:
      ValueError: if the images were not scored by `picture.worst`.
    """
    if picture.worst is None:
        return spread_over(len(next(iter(scores.values()))), picture.num_examples)
    if picture.worst not in scores:
        raise ValueError(
            f"the picture shows the images of the highest {picture.worst}, but the run of "
            f"{picture.config} was scored by {', '.join(scores)} only."
        )
    values = np.where(np.isnan(scores[picture.worst]), -np.inf, scores[picture.worst])
    return np.argsort(-values, kind="stable")[: picture.num_examples].tolist()
