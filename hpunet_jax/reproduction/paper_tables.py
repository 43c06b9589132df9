"""The paper's numbers: Tables 1 and 2, Appendix E, and what Section 3 adds to them.

Each row names the config that trains its model, each column the score that it shows.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Published(NamedTuple):
    """A number as printed in the paper.

    Attributes:
      mean: the mean.
      std: the standard deviation; None where the paper gives none.
      source: where it stands in the paper.
    """

    mean: float
    std: float | None
    source: str


class Column(NamedTuple):
    """A score.

    Attributes:
      label: its name; the arrow says which direction is better.
      metric: its name in an evaluation's scores.
      subset_b: whether only images of subset B enter (Appendix C).
    """

    label: str
    metric: str
    subset_b: bool = False

    @property
    def higher_is_better(self) -> bool:
        """The direction of the label's arrow."""
        return self.label.endswith("↑")


class Row(NamedTuple):
    """A model.

    Attributes:
      label: its name in the table.
      config: the module in `configs` that trains it at the paper's size.
      published: the paper's number of each column, by the column's key; may lack some.
    """

    label: str
    config: str
    published: Mapping[str, Published]


class Table(NamedTuple):
    """A table of the paper.

    Attributes:
      title: what it shows.
      data: the data that the paper's numbers were measured on.
      demo: the config file that makes its configs small, for `<demo>:<config>`; None: they are.
      columns: the scores by their keys.
      rows: the models.
    """

    title: str
    data: str
    demo: str | None
    columns: Mapping[str, Column]
    rows: tuple[Row, ...]


_HPUNET = "HPU-Net"
_SPUNET = "sPU-Net"

_IOU_REC = Column("IoU_rec ↑", "reconstruction_iou")
_GED2 = Column("GED² ↓", "ged2")
_HUNGARIAN = Column("Hungarian IoU ↑", "hungarian_iou")
_HUNGARIAN_B = Column("Hungarian IoU, subset B ↑", "hungarian_iou", subset_b=True)
_GED2_B = Column("GED², subset B ↓", "ged2", subset_b=True)
_RAND = Column("Rand error ↓", "rand_error")
_AP50 = Column("AP50 ↑", "average_precision_50")
_AP = Column("AP ↑", "average_precision")

_LIDC = "LIDC-IDRI, real CT"


def _published(source: str, **numbers: tuple[float, float | None]) -> dict[str, Published]:
    return {key: Published(*number, source) for key, number in numbers.items()}


_LIDC_HPUNET = {
    **_published("Table 1a", iou_rec=(0.97, 0.00), hungarian=(0.53, 0.01)),
    **_published("Section 3.2", ged2=(0.27, 0.01)),
}
_LIDC_SPUNET = {
    **_published("Table 1a", iou_rec=(0.75, 0.04), hungarian=(0.50, 0.03)),
    **_published("Section 3.2", ged2=(0.32, 0.03)),
}
_SUBSET_B_HPUNET = {
    **_published("Table 1a", hungarian_b=(0.47, 0.01)),
    **_published("Appendix E", ged2_b=(0.38, 0.02)),
}
_SUBSET_B_SPUNET = {
    **_published("Table 1a", hungarian_b=(0.37, 0.07)),
    **_published("Appendix E", ged2_b=(0.52, 0.09)),
}
_SNEMI3D_HPUNET = _published("Table 1b", iou_rec=(0.60, 0.00), rand=(0.06, 0.00))
_SNEMI3D_SPUNET = _published("Table 1b", iou_rec=(0.13, 0.03), rand=(0.52, 0.10))
_LIDC_COLUMNS = {"iou_rec": _IOU_REC, "ged2": _GED2, "hungarian": _HUNGARIAN}

TABLES: Mapping[str, Table] = {
    "table1_lidc": Table(
        title="Table 1a: LIDC-IDRI test set",
        data=_LIDC,
        demo="configs/demo.py",
        columns={**_LIDC_COLUMNS, "hungarian_b": _HUNGARIAN_B},
        rows=(
            Row(
                _SPUNET,
                "lidc_spunet",
                {**_LIDC_SPUNET, "hungarian_b": _SUBSET_B_SPUNET["hungarian_b"]},
            ),
            Row(
                _HPUNET,
                "lidc_hpunet",
                {**_LIDC_HPUNET, "hungarian_b": _SUBSET_B_HPUNET["hungarian_b"]},
            ),
        ),
    ),
    "subset_b": Table(
        title="Appendix E: LIDC-IDRI test images that all graders marked (subset B)",
        data=_LIDC,
        demo="configs/demo.py",
        columns={"ged2_b": _GED2_B, "hungarian_b": _HUNGARIAN_B},
        rows=(
            Row(_SPUNET, "lidc_spunet", _SUBSET_B_SPUNET),
            Row(_HPUNET, "lidc_hpunet", _SUBSET_B_HPUNET),
        ),
    ),
    "table2": Table(
        title="Table 2: ablations on the LIDC-IDRI test set",
        data=_LIDC,
        demo="configs/demo.py",
        columns=_LIDC_COLUMNS,
        rows=(
            Row(
                "4-scale hierarchy + GECO (κ = 0.05) + top-k",
                "lidc_hpunet",
                _published(
                    "Table 2", iou_rec=(0.97, 0.00), ged2=(0.27, 0.01), hungarian=(0.53, 0.01)
                ),
            ),
            Row(
                "local latents + GECO (κ = 0.05) + top-k",
                "lidc_local_latents",
                _published(
                    "Table 2", iou_rec=(0.97, 0.00), ged2=(0.34, 0.01), hungarian=(0.45, 0.01)
                ),
            ),
            Row(
                "global latents + GECO (κ = 0.15) + top-k",
                "lidc_global_latents",
                _published(
                    "Table 2", iou_rec=(0.94, 0.02), ged2=(0.40, 0.02), hungarian=(0.37, 0.02)
                ),
            ),
            Row(
                "4-scale hierarchy + GECO (κ = 0.05)",
                "lidc_no_top_k",
                _published(
                    "Table 2", iou_rec=(0.94, 0.00), ged2=(0.27, 0.01), hungarian=(0.54, 0.01)
                ),
            ),
        ),
    ),
    "baseline_lidc": Table(
        title="Models of LIDC-IDRI beside a pixel-wise U-Net, which the paper does not have",
        data=_LIDC,
        demo="configs/demo.py",
        columns=_LIDC_COLUMNS,
        rows=(
            Row("U-Net, pixel-wise", "lidc_unet", {}),
            Row(_SPUNET, "lidc_spunet", _LIDC_SPUNET),
            Row(_HPUNET, "lidc_hpunet", _LIDC_HPUNET),
        ),
    ),
    "spunet_gain": Table(
        title="The sPU-Net by the gain of its first weights; the paper has gain 1",
        data=_LIDC,
        demo="configs/demo.py",
        columns={**_LIDC_COLUMNS, "hungarian_b": _HUNGARIAN_B},
        rows=(
            Row(
                "sPU-Net, gain 1",
                "lidc_spunet",
                {**_LIDC_SPUNET, "hungarian_b": _SUBSET_B_SPUNET["hungarian_b"]},
            ),
            Row("sPU-Net, gain √2", "lidc_spunet_gain", {}),
        ),
    ),
    "table1_snemi3d": Table(
        title="Table 1b: SNEMI3D test set",
        data="SNEMI3D, real micrographs",
        demo="configs/demo_neurites.py",
        columns={"iou_rec": _IOU_REC, "rand": _RAND},
        rows=(
            Row(
                _SPUNET,
                "snemi3d_spunet",
                _SNEMI3D_SPUNET,
            ),
            Row(
                _HPUNET,
                "snemi3d_hpunet",
                _SNEMI3D_HPUNET,
            ),
        ),
    ),
    "vnc": Table(
        title="As Table 1b, on micrographs of a ventral nerve cord, which the paper does not have",
        data="SNEMI3D, real micrographs",
        demo=None,
        columns={"iou_rec": _IOU_REC, "rand": _RAND, "ap50": _AP50, "ap": _AP},
        rows=(
            Row(_SPUNET, "vnc_spunet", _SNEMI3D_SPUNET),
            Row(_HPUNET, "vnc_hpunet", _SNEMI3D_HPUNET),
        ),
    ),
    "table1_cityscapes": Table(
        title="Table 1c: Cityscapes cars",
        data="Cityscapes, real photographs",
        demo="configs/demo_cars.py",
        columns={"iou_rec": _IOU_REC, "rand": _RAND, "ap50": _AP50, "ap": _AP},
        rows=(
            Row(
                _HPUNET,
                "cityscapes_hpunet",
                {
                    **_published("Table 1c (the text says 0.12)", rand=(0.13, None)),
                    **_published("Table 1c", iou_rec=(0.62, None)),
                    **_published("Section 3.4, in percent there", ap50=(0.468, None)),
                },
            ),
        ),
    ),
}
