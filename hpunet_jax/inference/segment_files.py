"""What `experiments.segment` writes beside maps of instances: the table of their confidences."""

import csv
import os
from collections.abc import Mapping

from hpunet_jax.files import write_aside
from hpunet_jax.instances.scores import InstanceTable

COLUMNS = (
    *("image", "instance", "area", "left", "top", "width", "height", "confidence", "agreement"),
)


def write_table(path: str | os.PathLike[str], tables: Mapping[str, InstanceTable]) -> None:
    """Writes the instances of all images as one CSV file, a row for each.

    The columns are the image's name, the instance's number in its map, its area in pixels, the
    least box around it, its confidence (Appendix B.3, `instance_scores`) and how far the samples
    agree on it (`sample_agreement`).

    Args:
      path: the file.
      tables: {name of the image: its instances}.
    """
    with write_aside(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for name, table in tables.items():
            for id_, area, box, *scores in zip(*table, strict=True):
                writer.writerow([name, id_, area, *box, *(f"{score:.4f}" for score in scores)])
