"""Writes a generated set of photographs with thin structures, marked by two observers.

    python -m benchmarks.vessels --out=vessels

A stand-in for public sets of retinas, to try `hpunet init` and whole images on: RGB photographs of
605x700 pixels in the layout of docs/own_data.md, 10 for training and 10 for testing. Trees
of vessels grow from a bright disc, thinner at each branching; light, colour and noise differ by
image. The first observer leaves out thin vessels, the second marks most of them, and wider; both
miss some branches and draw borders a little differently. Nothing in it is real.
"""

import pathlib

import numpy as np
from absl import flags
from PIL import Image, ImageDraw
from scipy import ndimage

from experiments import program

_OUT = flags.DEFINE_string("out", None, "Folder to write to, which must not exist yet.")
_IMAGES = flags.DEFINE_integer("images", 10, "Photographs of each part.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything.", lower_bound=0)
flags.mark_flag_as_required("out")

HEIGHT, WIDTH = 605, 700
_FINE = 2  # vessels are drawn this much larger, so that their borders are smooth


def main(_) -> None:
    out = pathlib.Path(_OUT.value)
    if out.exists():
        raise ValueError(f"--out={out} exists already: give a new folder.")
    for part, number in (("train", 0), ("test", 1)):
        for index in range(_IMAGES.value):
            rng = np.random.default_rng([_SEED.value, number, index])
            photograph, masks = draw(rng)
            for name, pixels in (
                (f"images/{index:02d}.png", photograph),
                *((f"gt/{index:02d}_l{grader}.png", mask) for grader, mask in enumerate(masks)),
            ):
                path = out / part / name
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    print(f"{2 * _IMAGES.value} photographs: {out}")


def draw(rng: np.random.Generator) -> tuple[np.ndarray, list[np.ndarray]]:
    """A photograph, uint8 [H, W, 3], and the masks of two observers, uint8 [H, W] of 0 and 1."""
    disc = np.array([HEIGHT * rng.uniform(0.4, 0.6), WIDTH * rng.choice([0.22, 0.78])])
    branches = grow(rng, disc)
    vessels = ndimage.gaussian_filter(cover(branches), 0.7)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    radius = np.hypot((y - HEIGHT / 2) / 0.98, x - WIDTH / 2)
    seen = np.clip((0.49 * WIDTH - radius) / 4, 0, 1)[..., None]
    light = 0.85 + 0.25 * smooth(rng, 120) - 0.25 * (radius / WIDTH)
    texture = 0.06 * smooth(rng, 12) + 0.05 * smooth(rng, 3)
    glow = 0.45 * np.exp(-((((y - disc[0]) / 42) ** 2 + ((x - disc[1]) / 38) ** 2) ** 2))
    colour = np.array([0.75, 0.38, 0.16]) * rng.uniform(0.85, 1.15, 3)
    absorbed = np.array([0.14, 0.3, 0.22]) * rng.uniform(0.8, 1.1)
    image = colour * (light + texture)[..., None] + glow[..., None] * [0.3, 0.6, 0.5]
    image = image * (1 - absorbed * vessels[..., None]) * seen
    image = image + rng.normal(0, 0.02, image.shape)
    photograph = (255 * np.clip(image, 0, 1)).round().astype(np.uint8)
    masks = [
        observe(rng, branches, thinnest, wider) for thinnest, wider in ((2.4, 0.9), (1.4, 1.2))
    ]
    return photograph, [mask * (seen[..., 0] > 0) for mask in masks]


def grow(rng: np.random.Generator, disc: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Branches as (points [n, 2], widths [n]) of trees that start in the disc."""
    branches = []
    starts = [
        (disc, rng.uniform(7, 9.5), angle + rng.normal(0, 0.25)) for angle in (0.9, 2.2, -0.9, -2.2)
    ]
    starts += [(disc, rng.uniform(2, 4), rng.uniform(-np.pi, np.pi)) for _ in range(4)]
    while starts:
        point, width, angle = starts.pop()
        length = int(rng.uniform(40, 110) * (0.6 + width / 8))
        bend = np.cumsum(rng.normal(0, 0.012, length)) + rng.normal(0, 0.004) * np.arange(length)
        angles = angle + np.cumsum(rng.normal(0, 0.03, length)) + bend
        steps = np.stack([np.sin(angles), np.cos(angles)], axis=1)
        points = point + np.cumsum(steps, axis=0)
        widths = width * np.linspace(1, 0.85, length)
        branches.append((points, widths))
        inside = (points[-1] > 0).all() and (points[-1] < [HEIGHT, WIDTH]).all()
        if not inside or width < 1.2:
            continue
        split, turn = rng.uniform(0.5, 0.8), rng.choice([-1, 1])
        for share, side in ((split, turn), (1 - split, -turn)):
            to_side = side * rng.uniform(0.2, 0.6) * (1.6 - share)
            starts.append((points[-1], width * share**0.38, angles[-1] + to_side))
    return branches


def cover(branches, wider: float = 1.0) -> np.ndarray:
    """What branches cover of each pixel, float [H, W] in [0, 1]."""
    canvas = Image.new("L", (WIDTH * _FINE, HEIGHT * _FINE))
    pen = ImageDraw.Draw(canvas)
    for points, widths in branches:
        for (y, x), width in zip(points * _FINE, widths * wider * _FINE / 2, strict=True):
            pen.ellipse([x - width, y - width, x + width, y + width], fill=255)
    small = canvas.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    return np.asarray(small) / 255


def observe(rng, branches, thinnest: float, wider: float) -> np.ndarray:
    """An observer's mask: no vessels below a width, some branches missed, borders moved."""
    seen = [
        (points + rng.normal(0, 0.4, 2), widths)
        for points, widths in branches
        if widths.mean() > thinnest * rng.lognormal(0, 0.25) and rng.random() > 0.04
    ]
    return (cover(seen, wider) + 0.12 * smooth(rng, 8) > 0.5).astype(np.uint8)


def smooth(rng, sigma: float) -> np.ndarray:
    """Smooth noise [H, W] of unit variance."""
    noise = ndimage.gaussian_filter(rng.normal(size=(HEIGHT, WIDTH)), sigma, mode="wrap")
    return noise / noise.std()


if __name__ == "__main__":
    program.run(main)
