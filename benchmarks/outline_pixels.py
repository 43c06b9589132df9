"""LIDC-IDRI's outlines against its CT: are their pixels lesion, and do coordinates count from 0?

    python -m benchmarks.outline_pixels --source=downloads/LIDC-IDRI

LIDC's outlines are said to be drawn just outside of the lesion, in pixels counted from 0. If that
is so, Hounsfield units (HU) of solid lesions in lung fall from the pixels just inside of an outline
over its own to those just outside, and the contrast between the pixels that it encloses and those
around is greatest where the outlines are, not one pixel further.

Looks at all outlines in slices that are there, of readings with the texture "solid" (5) that
enclose at least 12 pixels. Around means: outside of the outline, at most 3 pixels away from it.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from scipy.ndimage import binary_dilation

from hpunet_jax.data.lidc.dicom import read_hounsfield, read_series
from hpunet_jax.data.lidc.index import index_files
from hpunet_jax.data.lidc.lesions import enclosed_pixels
from hpunet_jax.data.lidc.xml import read_markup

_SOLID = 5
_SMALLEST = 12  # pixels
_SHIFTS = (-2, -1, 0, 1, 2)


def outlines(source: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Slices in HU [H, W] with the points [n, 2] (x, y) of an outline of a solid lesion."""
    for scan in index_files(source).scans:
        markup, series = read_markup(scan.xml), read_series(*scan.folders)
        for reading in (reading for session in markup.sessions for reading in session):
            if reading.ratings.get("texture") != _SOLID:
                continue
            for contour in reading.contours:
                place = series.find(contour.z, markup.images.get(contour.z, ()))
                inside, _ = enclosed_pixels(contour.points)
                if contour.inclusion and place and inside.sum() >= _SMALLEST:
                    yield read_hounsfield(place.path), contour.points


def regions(shape: tuple[int, int], points: np.ndarray) -> dict[str, np.ndarray]:
    """The pixels on and around an outline, bool [H, W] each."""
    inside, line = np.zeros(shape, bool), np.zeros(shape, bool)
    for image, with_outline in ((inside, False), (line, True)):
        enclosed, (y, x) = enclosed_pixels(points, with_outline)
        image[y : y + enclosed.shape[0], x : x + enclosed.shape[1]] = enclosed
    line &= ~inside
    near = binary_dilation(line, np.ones((3, 3)))
    around = binary_dilation(inside | line, np.ones((3, 3)), iterations=3)
    return {
        "enclosed": inside,
        "just inside": inside & near,
        "on the outline": line,
        "just outside": near & ~inside & ~line,
        "around": around & ~inside & ~line,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", required=True, help="LIDC-IDRI as downloaded, or a part of it")
    source = parser.parse_args().source
    steps: dict[str, list[float]] = {}
    contrast: dict[tuple[int, int], list[float]] = {}
    for hounsfield, points in outlines(source):
        for name, pixels in regions(hounsfield.shape, points).items():
            steps.setdefault(name, []).append(float(hounsfield[pixels].mean()))
        for shift in ((dx, dy) for dy in _SHIFTS for dx in _SHIFTS):
            places = regions(hounsfield.shape, points + shift)
            inside, around = (hounsfield[places[name]].mean() for name in ("enclosed", "around"))
            contrast.setdefault(shift, []).append(float(inside - around))
    print(f"{len(steps['enclosed'])} outlines of solid lesions; means over them, in HU\n")
    for name in ("just inside", "on the outline", "just outside"):
        print(f"{name:>15}  {np.mean(steps[name]):6.0f}")
    print("\nenclosed minus around, outlines shifted by (x, y) pixels\n")
    print("  y \\ x" + "".join(f"{dx:+7d}" for dx in _SHIFTS))
    for dy in _SHIFTS:
        print(f"{dy:+7d}" + "".join(f"{np.mean(contrast[dx, dy]):7.0f}" for dx in _SHIFTS))


if __name__ == "__main__":
    main()
