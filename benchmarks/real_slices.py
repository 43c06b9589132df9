"""A model on real CT slices of LIDC-IDRI: does it colour what no radiologist outlined?

    python -m benchmarks.real_slices --checkpoint=pretrained/lidc_phantom --source=lidc_slices

The slices are a test, never training data. Crops are cut as `experiments.prepare_lidc` cuts them,
and the model sees their middle, as large as it was trained on. For each patient:

    outside   share of samples with more than 10 pixels outside every radiologist's outline
    of three  the same, outside the outlines of all radiologists but one: the mean over each
    IoU       of the samples' mean, above one half, with what at least half of the radiologists drew
    inside    share of the samples that colour a pixel which half of the radiologists drew: the mean
              over such pixels, and that of the slice where it is greatest
    touching  share of samples with a pixel inside an outline
    empty     share of empty samples, beside the share of empty gradings

IoU and inside are means over the slices where half of the radiologists drew something. Below each
patient:

    simulated   the model on the same lesions with the simulated CT that it was trained on
    gradings    as many drawings, each of a radiologist who was drawn by lot: what a model that knew
                the gradings would have. Where just half of them drew, its mean is above one half by
                chance, in every second slice. No drawing is outside of all; `of three` is each
                radiologist against the others: what one has who draws as they do.
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

import hpunet_jax
from hpunet_jax.data.lidc.cutting import cut_image, to_grey
from hpunet_jax.data.lidc.dicom import read_hounsfield, read_series
from hpunet_jax.data.lidc.index import index_files
from hpunet_jax.data.lidc.lesions import group_lesions, marked_crops
from hpunet_jax.data.lidc.prepare import WINDOW
from hpunet_jax.data.lidc.readings import read_scans
from hpunet_jax.data.lidc.xml import read_markup
from hpunet_jax.data.phantoms.lidc_examples import lesion_examples
from hpunet_jax.files import write_aside
from hpunet_jax.tasks.crop import centre_crop
from hpunet_jax.text_table import aligned

_OUTSIDE = 10  # pixels; fewer are a radiologist's line width


class Crops(NamedTuple):
    """The crops of one patient.

    Attributes:
      image: uint8 [B, 180, 180, 1].
      masks: uint8 [B, 180, 180, 4], 0 or 1.
    """

    image: np.ndarray
    masks: np.ndarray


def real_crops(source: str) -> dict[str, Crops]:
    """The crops of all marked slices below a folder of DICOM and XML files, by patient."""
    found: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {}
    for scan in index_files(source).scans:
        markup, series = read_markup(scan.xml), read_series(*scan.folders)
        images, masks = found.setdefault(scan.patient, ([], []))
        for lesion in markup.lesions():
            for z, drawn in marked_crops(lesion, series.pixel_spacing):
                place = series.find(z, markup.images.get(z, ()))
                if place is None:
                    continue
                hounsfield = read_hounsfield(place.path)
                crop = cut_image(hounsfield, lesion.centre, series.pixel_spacing, outside=WINDOW[0])
                images.append(to_grey(crop, WINDOW)[..., None])
                masks.append(drawn)
    return {patient: Crops(*map(np.stack, crops)) for patient, crops in found.items() if crops[0]}


def simulated_crops(patients: Collection[str]) -> dict[str, Crops]:
    """The crops of these patients' lesions with simulated CT, by patient."""
    examples: dict[str, list] = {patient: [] for patient in patients}
    for scan in read_scans():
        if scan.patient in patients:
            for number, lesion in enumerate(group_lesions(scan.readings)):
                examples[scan.patient] += lesion_examples(
                    scan.number, scan.patient, scan.pixel_spacing, number, lesion
                )
    return {
        patient: Crops(*(np.stack([e[name] for e in found]) for name in ("image", "masks")))
        for patient, found in examples.items()
        if found
    }


def whole_slices(source: str) -> list[np.ndarray]:
    """The marked slices themselves, uint8 [H, W, 1]."""
    found = []
    for scan in index_files(source).scans:
        markup, series = read_markup(scan.xml), read_series(*scan.folders)
        marked = sorted({z for lesion in markup.lesions() for z in lesion.slices})
        places = (series.find(z, markup.images.get(z, ())) for z in marked)
        found += [to_grey(read_hounsfield(p.path), WINDOW)[..., None] for p in places if p]
    return found


def measure(samples: np.ndarray, masks: np.ndarray) -> dict[str, float]:
    """The figures of some slices.

    Args:
      samples: 0 or 1, [N, B, H, W].
      masks: 0 or 1, [B, H, W, G], what the radiologists drew.

    Returns:
      The columns of the table, without the number of slices.
    """
    samples, drawn = samples.astype(bool), masks.any(axis=-1)
    chances = samples.mean(axis=0)
    mean = chances > 0.5
    majority = masks.mean(axis=-1) >= 0.5
    some = majority.any(axis=(1, 2))
    inside = (chances * majority)[some].sum(axis=(1, 2)) / majority[some].sum(axis=(1, 2))
    both, either = (mean & majority)[some], (mean | majority)[some]
    iou = both.sum(axis=(1, 2)) / either.sum(axis=(1, 2))
    return {
        "outside": float(((samples & ~drawn).sum(axis=(2, 3)) > _OUTSIDE).mean()),
        "outside_of_others": outside_of_others(samples[None], masks),
        "iou": float(iou.mean()) if some.any() else float("nan"),
        "inside": float(inside.mean()) if some.any() else float("nan"),
        "inside_at_best": float(inside.max()) if some.any() else float("nan"),
        "touching": float((samples & drawn).any(axis=(2, 3)).mean()),
        "empty": float(1 - samples.any(axis=(2, 3)).mean()),
        "empty_gradings": float(1 - masks.any(axis=(1, 2)).mean()),
    }


def outside_of_others(samples: np.ndarray, masks: np.ndarray) -> float:
    """Share of samples with more than 10 pixels that all radiologists but one left out.

    Args:
      samples: 0 or 1, [G, N, B, H, W], those of g held against all but the radiologist g; or
        [1, N, B, H, W], the same for each.
      masks: 0 or 1, [B, H, W, G].
    """
    graders = range(masks.shape[-1])
    others = np.stack([np.delete(masks, g, axis=-1).any(axis=-1) for g in graders])
    beyond = samples.astype(bool) & ~others[:, None]
    return float((beyond.sum(axis=(-2, -1)) > _OUTSIDE).mean())


def drawn_gradings(rng: np.random.Generator, masks: np.ndarray, num_samples: int) -> np.ndarray:
    """For each sample and slice the drawing of a radiologist who is drawn by lot.

    Args:
      rng: source of the lots.
      masks: [B, H, W, G].
      num_samples: N.

    Returns:
      As masks, [N, B, H, W].
    """
    slices, graders = masks.shape[0], masks.shape[-1]
    lots = rng.integers(graders, size=(num_samples, slices))
    return np.moveaxis(masks, -1, 0)[lots, np.arange(slices)]


def measure_gradings(
    rng: np.random.Generator, masks: np.ndarray, num_samples: int
) -> dict[str, float]:
    """`measure` of `drawn_gradings`, and of each radiologist against the others."""
    own = np.moveaxis(masks, -1, 0)[:, None]
    found = measure(drawn_gradings(rng, masks, num_samples), masks)
    return found | {"outside_of_others": outside_of_others(own, masks)}


def table(figures: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """The figures as text: of what, by patient, those of a patient below each other."""
    columns = (
        *("outside", "of three", "IoU", "inside", "at best"),
        *("touching", "empty", "empty gradings"),
    )
    rows = [["patient", "slices", *columns]]
    for patient in figures["real"]:
        for what, found in figures.items():
            if patient in found:
                slices, *shares = found[patient].values()
                name = patient if what == "real" else f"{patient}, {what}"
                rows.append([name, str(slices), *(f"{share:.2f}" for share in shares)])
    return aligned(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--checkpoint", default="pretrained/lidc_phantom", help="the model")
    parser.add_argument("--source", required=True, help="folder of slices (DICOM) and XML files")
    parser.add_argument("--num_samples", type=int, default=64, help="of each slice")
    parser.add_argument("--out", type=pathlib.Path, help="a JSON file of the figures")
    flags = parser.parse_args()
    try:
        patients = real_crops(flags.source)
        model = hpunet_jax.load(flags.checkpoint)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    if not patients:
        sys.exit(f"error: {flags.source} holds no slice that a radiologist marked.")
    number, rng = flags.num_samples, np.random.default_rng(0)
    crop = model.config.data.crop  # what the model sees
    seen = {
        what: {p: Crops(*(centre_crop(maps, crop) for maps in c)) for p, c in crops_of.items()}
        for what, crops_of in (("real", patients), ("simulated", simulated_crops(patients)))
    }
    figures = {
        what: {
            patient: {
                "slices": len(image),
                **measure(model.sample(image, number, batch_size=16), masks),
            }
            for patient, (image, masks) in crops_of.items()
        }
        for what, crops_of in seen.items()
    }
    figures["gradings"] = {
        patient: {"slices": len(masks), **measure_gradings(rng, masks, number)}
        for patient, (_, masks) in seen["real"].items()
    }
    print(table(figures))
    if flags.out:
        result = {"model": model.digest(), "num_samples": number, "patients": figures}
        with write_aside(flags.out) as aside:
            aside.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
