"""The simulated CT beside real slices of LIDC-IDRI: grey values, noise and edges.

    python -m benchmarks.simulated_and_real --source=lidc_slices --out=simulated_and_real.png

Draws, for both, crops of the same lesions, the histogram of grey values, the noise power spectrum,
and the mean profiles across the border of the lung and across the outlines of these lesions; prints
the figures behind them. Other simulated crops are of the first `--lesions` of the test split.

Noise is looked at in windows of 24x24 pixels (12 mm): in each crop the tenth that varies least, its
lung and its soft tissue apart, without their planes. Its spectrum is in mm² HU², by mm⁻¹.

The bright core of a lesion are the pixels above half way from the lung nearby to the lesion, where
the two are 250 HU apart or more; figures are the quartiles of such slices.
"""

import argparse
import pathlib
import sys
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import binary_dilation, binary_opening, gaussian_filter, label

from benchmarks.real_slices import Crops, real_crops, simulated_crops
from hpunet_jax.data.lidc.cutting import RESOLUTION
from hpunet_jax.data.lidc.prepare import WINDOW
from hpunet_jax.data.phantoms.lidc_examples import phantom_arrays
from hpunet_jax.data.phantoms.simulated_ct import signed_distance
from hpunet_jax.figures import save_figure
from hpunet_jax.text_table import aligned

_WINDOW = 24  # pixels
_LUNG, _SOFT = (-950.0, -700.0), (0.0, 150.0)  # Hounsfield units of means of windows
_BORDER = -500.0  # Hounsfield units between lung and what is around
_STANDS_OUT = 250.0  # Hounsfield units of a lesion above the lung
_PROFILE = np.arange(-5.75, 6.0, 0.5)  # mm; pixels beside a straight edge lie at these distances
Arrays = Mapping[str, np.ndarray]  # image [B, H, W, 1] and masks [B, H, W, G], uint8

_COLOURS = {"real": "#d9661f", "simulated": "#1f6fb4"}


def hounsfield(grey: np.ndarray) -> np.ndarray:
    """Hounsfield units of grey values, as far as the window shows them."""
    return WINDOW[0] + grey.astype(np.float32) / 255 * (WINDOW[1] - WINDOW[0])


def quiet_windows(images: np.ndarray, means: tuple[float, float]) -> np.ndarray:
    """The windows that vary least of those whose mean is in a range.

    Args:
      images: Hounsfield units [B, H, W].
      means: the range.

    Returns:
      float [n, 24, 24], without their planes: a tenth of each crop's, at least one.
    """
    y, x = np.mgrid[:_WINDOW, :_WINDOW] - (_WINDOW - 1) / 2
    plane = np.stack([np.ones_like(x), x, y], -1).reshape(-1, 3)
    plane /= np.linalg.norm(plane, axis=0)
    kept = []
    for image in images:
        windows = np.lib.stride_tricks.sliding_window_view(image, (_WINDOW,) * 2)[::6, ::6]
        windows = windows.reshape(-1, _WINDOW**2)
        windows = windows[(windows.mean(1) > means[0]) & (windows.mean(1) < means[1])]
        flat = windows - (windows @ plane) @ plane.T
        kept.append(flat[np.argsort(flat.std(1))[: -(-len(flat) // 10)]])
    return np.concatenate(kept).reshape(-1, _WINDOW, _WINDOW)


def noise_power(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The radial noise power spectrum: frequencies in mm⁻¹, and HU² mm²."""
    power = np.abs(np.fft.fft2(windows)) ** 2 * RESOLUTION**2 / _WINDOW**2
    frequency = np.fft.fftfreq(_WINDOW, RESOLUTION)
    radius = np.hypot(*np.meshgrid(frequency, frequency)) * _WINDOW * RESOLUTION
    ring = radius.round().astype(int)
    sums = np.bincount(ring.ravel(), np.median(power, axis=0).ravel())
    rings = np.arange(1, _WINDOW // 2 + 1)
    return rings / (_WINDOW * RESOLUTION), (sums / np.bincount(ring.ravel()))[rings]


def border_profile(images: np.ndarray) -> np.ndarray:
    """Mean Hounsfield units by distance from the lung's border, positive outside."""
    sums = np.zeros((2, len(_PROFILE)))
    for image in images:
        inside = binary_opening(gaussian_filter(image, 1.0) < _BORDER, np.ones((5, 5)))
        pieces, count = label(~inside)
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)
        outside = (sizes >= 1500)[pieces] & ~inside  # neither vessels nor small lesions
        if outside.any() and inside.any():
            sums += _by_distance(image, -signed_distance(~outside))
    return sums[0] / sums[1]


def outline_profile(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Mean Hounsfield units by distance from what half of the graders drew, positive outside."""
    sums = np.zeros((2, len(_PROFILE)))
    for image, drawn in zip(images, masks, strict=True):
        majority = drawn.mean(axis=-1) >= 0.5
        if majority.any():
            sums += _by_distance(image, -signed_distance(majority))
    return sums[0] / sums[1]


def bright_cores(images: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How lesions fill what half of the graders drew of them.

    Args:
      images: Hounsfield units [B, H, W].
      masks: [B, H, W, G].

    Returns:
      For each slice with a lesion that stands out: pixels of its bright core by pixels that half of
      the graders drew, and what share of these lies in the core.
    """
    sizes, shares = [], []
    for image, drawn in zip(images, masks, strict=True):
        majority = drawn.mean(axis=-1) >= 0.5
        if majority.sum() < 4:
            continue
        lung, lesion = np.median(image[_nearby(drawn)]), np.percentile(image[majority], 90)
        if lesion < lung + _STANDS_OUT:
            continue
        bright = (image > (lung + lesion) / 2) & binary_dilation(majority, iterations=6)
        pieces, _ = label(bright)
        core = np.isin(pieces, np.unique(pieces[majority & bright]))
        sizes.append(core.sum() / majority.sum())
        shares.append(core[majority].mean())
    return np.array(sizes), np.array(shares)


def heights(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Mean of what any grader drew above the lung nearby.

    Args:
      images: Hounsfield units [B, H, W].
      masks: [B, H, W, G].

    Returns:
      Hounsfield units, one for each slice with lung nearby.
    """
    found = []
    for image, drawn in zip(images, masks, strict=True):
        lung = image[_nearby(drawn) & (image < _BORDER)]
        if lung.size:
            found.append(image[drawn.any(axis=-1)].mean() - np.median(lung))
    return np.array(found)


def _nearby(drawn: np.ndarray) -> np.ndarray:
    """The pixels around what the graders drew of a slice, [H, W, G], up to 4 mm away."""
    lesion = drawn.any(axis=-1)
    return binary_dilation(lesion, iterations=8) & ~binary_dilation(lesion, iterations=2)


def _by_distance(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    place = np.round((pixels * RESOLUTION - _PROFILE[0]) / 0.5).astype(int)
    near = (place >= 0) & (place < len(_PROFILE))
    counts = [np.bincount(place[near], w, len(_PROFILE)) for w in (image[near], None)]
    return np.stack(counts)


def together(patients: Mapping[str, Crops]) -> Arrays:
    """The crops of all patients."""
    return {
        name: np.concatenate([getattr(crops, name) for crops in patients.values()])
        for name in ("image", "masks")
    }


def statistics(crops: Arrays, same: Arrays) -> dict[str, np.ndarray]:
    """Everything that the figure compares, of many crops and of those of the same lesions."""
    images = crops["image"]
    hu = hounsfield(images[..., 0])
    found = {"histogram": np.bincount(images.ravel(), minlength=256) / images.size}
    for tissue, means in (("lung", _LUNG), ("soft tissue", _SOFT)):
        windows = quiet_windows(hu, means)
        found[f"noise in {tissue}"] = np.array([np.median(windows.std(axis=(1, 2)))])
        found["frequency"], found[f"power in {tissue}"] = noise_power(windows)
    found["border"] = border_profile(hu)
    same_hu = hounsfield(same["image"][..., 0])
    found["outline"] = outline_profile(same_hu, same["masks"])
    found["height"] = heights(same_hu, same["masks"])
    found["core's size"], found["core's share"] = bright_cores(hu, crops["masks"])
    return found


def table(found: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """The figures behind the picture as text."""
    rows = [["", *found]]
    parts = {"air, below -950 HU": (0, 10), "lung, below -600 HU": (10, 73)}
    parts |= {"between, below -200 HU": (73, 146), "soft tissue, below 150 HU": (146, 210)}
    parts |= {"bone and contrast agent": (210, 256)}
    for name, (low, high) in parts.items():
        shares = (values["histogram"][low:high].sum() for values in found.values())
        rows.append([f"share of pixels: {name}", *(f"{share:.2f}" for share in shares)])
    for tissue in ("lung", "soft tissue"):
        levels = (float(values[f"noise in {tissue}"][0]) for values in found.values())
        rows.append([f"noise in quiet {tissue}, HU", *(f"{level:.0f}" for level in levels)])
        means = (
            float(np.average(values["frequency"], weights=values[f"power in {tissue}"]))
            for values in found.values()
        )
        rows.append([f"its mean frequency in {tissue}, mm⁻¹", *(f"{mean:.2f}" for mean in means)])
    for name, key in (("lung's border", "border"),):
        widths = (_rise(values[key]) for values in found.values())
        rows.append(
            [f"10 to 90 % of the rise across the {name}, mm", *(f"{w:.1f}" for w in widths)]
        )
    for name, key, digits in (
        ("these lesions above the lung nearby, HU", "height", 0),
        ("bright core: its size over what half drew", "core's size", 2),
        ("bright core: its share of what half drew", "core's share", 2),
    ):
        rows.append([name, *(_quartiles(values[key], digits) for values in found.values())])
    return aligned(rows)


def _quartiles(values: np.ndarray, digits: int) -> str:
    """Of a few numbers."""
    return " – ".join(f"{value:.{digits}f}" for value in np.quantile(values, (0.25, 0.5, 0.75)))


def _rise(profile: np.ndarray) -> float:
    """Over how many mm a profile goes from 10 to 90 % of its range."""
    low, high = profile.min(), profile.max()
    part = (profile - low) / (high - low)
    part = part if part[0] < part[-1] else part[::-1]
    part = np.maximum.accumulate(part)
    return float(np.interp(0.9, part, _PROFILE) - np.interp(0.1, part, _PROFILE))


def draw(
    found: Mapping[str, Mapping[str, np.ndarray]], crops: Mapping[str, Sequence[np.ndarray]]
) -> Figure:
    """The picture: crops above, curves below."""
    figure = Figure(figsize=(13, 7.5), layout="constrained")
    rows = figure.subfigures(2, 1, height_ratios=(1.2, 1))
    for (name, images), axes in zip(
        crops.items(), rows[0].subplots(2, len(crops["real"])), strict=True
    ):
        for image, ax in zip(images, axes, strict=True):
            ax.imshow(image, cmap="gray", vmin=0, vmax=255)
            ax.set(xticks=[], yticks=[])
        axes[0].set_ylabel(name)
    axes = rows[1].subplots(1, 4)
    for name, values in found.items():
        colour = _COLOURS[name]
        axes[0].semilogy(hounsfield(np.arange(256)), values["histogram"], color=colour, label=name)
        for tissue, style in (("lung", "-"), ("soft tissue", "--")):
            power = values[f"power in {tissue}"]
            axes[1].plot(values["frequency"], power, style, color=colour, label=f"{name}, {tissue}")
        axes[2].plot(_PROFILE, values["border"], color=colour)
        axes[3].plot(_PROFILE, values["outline"], color=colour)
    titles = ("grey values", "noise power", "across the lung's border", "across lesions' outlines")
    labels = ("HU", "mm⁻¹", "mm, outside is right", "mm, outside is right")
    for ax, title, text in zip(axes, titles, labels, strict=True):
        ax.set(title=title, xlabel=text)
    axes[1].set_ylabel("HU² mm²")
    for ax in axes[:2]:
        ax.legend(fontsize=7)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", required=True, help="folder of slices (DICOM) and XML files")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the picture, a PNG file")
    parser.add_argument("--lesions", type=int, default=80, help="how many are simulated")
    flags = parser.parse_args()
    try:
        patients = real_crops(flags.source)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    real, simulated = together(patients), together(simulated_crops(patients))
    others = phantom_arrays("test", limit=flags.lesions, progress=False)
    found = {
        "real": statistics(real, real),
        "simulated": statistics(others, simulated),
    }
    crops = {
        name: same["image"][np.linspace(0, len(same["image"]) - 1, 9).astype(int), ..., 0]
        for name, same in (("real", real), ("simulated", simulated))
    }
    print(table(found))
    save_figure(draw(found, crops), flags.out)


if __name__ == "__main__":
    main()
