"""The colours of labels and instances in Figs. 4, 6 and 11-15."""

import colorsys

import numpy as np
from matplotlib.colors import to_rgb

BACKGROUND = (0.0, 0.0, 0.0)
NO_LABEL = (0.9, 0.9, 0.9)  # pixels without annotation

_DISTINCT = (
    *("#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231", "#9a3fd5", "#46d6f0", "#f032e6"),
    *("#bcf60c", "#fabed4", "#00968f", "#c3adff", "#9c4f1c", "#aaffc3", "#8a8a00"),
)
_GOLDEN = (5**0.5 - 1) / 2
_TONES = ((0.9, 1.0), (0.4, 1.0), (0.9, 0.65), (0.5, 0.75))  # saturation and value

# Names and colours of the Cityscapes classes, by train id.
STREET_CLASSES = {
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "building": (70, 70, 70),
    "wall": (102, 102, 156),
    "fence": (190, 153, 153),
    "pole": (153, 153, 153),
    "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35),
    "terrain": (152, 251, 152),
    "sky": (170, 205, 230),  # paler than the official blue, which is for cars here
    "person": (220, 20, 60),
    "rider": (255, 0, 0),
    "car": (0, 0, 142),
    "truck": (94, 60, 20),
    "bus": (235, 120, 40),
    "train": (0, 110, 90),
    "motorcycle": (150, 20, 120),
    "bicycle": (119, 11, 32),
}
_CAR = list(STREET_CLASSES).index("car")


def label_palette(classes: range) -> tuple[np.ndarray, list[str] | None]:
    """Colours and names of a model's labels, by which of them stand for instances.

    Args:
      classes: the classes that stand for instances.

    Returns:
      The palette, and names for a legend: those of neurites (without names) if the classes begin
      at 1, else those of street scenes.
    """
    if classes.start == 1:
        return neurite_palette(len(classes)), None
    return street_palette(len(classes)), street_names(len(classes))


def neurite_palette(num_ids: int) -> np.ndarray:
    """Colours of background and random instance labels: black, and distinct ones (Fig. 4).

    Args:
      num_ids: number of labels; the paper's 15 have the colours that are easiest to tell apart.

    Returns:
      float [num_ids + 1, 3] in [0, 1].
    """
    distinct = [to_rgb(colour) for colour in _DISTINCT[:num_ids]]
    more = instance_palette(num_ids)[1 + len(distinct) :]
    return np.array([BACKGROUND, *distinct, *more])


def street_palette(num_ids: int) -> np.ndarray:
    """Colours of street classes, with `num_ids` shades of blue for the car ids (Figs. 6, 13-15).

    Args:
      num_ids: number of car labels, the paper's 5; they stand in place of the class car.

    Returns:
      float [18 + num_ids, 3] in [0, 1].
    """
    shades = np.linspace(0, 1, max(num_ids, 1))[:, None]
    dark, bright = np.array([0.0, 0.05, 0.4]), np.array([0.35, 0.8, 1.0])
    colours = np.array(list(STREET_CLASSES.values())) / 255
    cars = dark + shades * (bright - dark)
    return np.concatenate([colours[:_CAR], cars[:num_ids], colours[_CAR + 1 :]])


def street_names(num_ids: int) -> list[str]:
    """Names of the labels of `street_palette`; the car ids are all called car."""
    names = list(STREET_CLASSES)
    return [*names[:_CAR], *["car"] * num_ids, *names[_CAR + 1 :]]


def instance_palette(number: int) -> np.ndarray:
    """Colours of any number of instances; successive ones differ much in hue and brightness.

    Args:
      number: number of instances.

    Returns:
      float [number + 1, 3] in [0, 1], the first black for background.
    """
    return np.array([BACKGROUND, *(_instance_colour(i) for i in range(1, number + 1))])


def _instance_colour(instance: int) -> tuple[float, float, float]:
    index = instance - 1
    # Hues return nearly after 5, 8 and 13 instances: the tone must not return with them.
    tone = _TONES[(index + index // 8) % len(_TONES)]
    return colorsys.hsv_to_rgb((0.02 + index * _GOLDEN) % 1, *tone)


def paint_instances(instances: np.ndarray) -> np.ndarray:
    """Gives each pixel the colour that `instance_palette` has for its instance, however great.

    Args:
      instances: integers of any shape [...], 0 for background; negative ones become light grey.

    Returns:
      float [..., 3].
    """
    ids, places = np.unique(instances, return_inverse=True)
    colours = [
        _instance_colour(i) if i > 0 else NO_LABEL if i < 0 else BACKGROUND for i in ids.tolist()
    ]
    return np.array(colours, dtype=float).reshape(-1, 3)[places.reshape(np.shape(instances))]


def paint(labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Gives each pixel the colour of its label.

    Args:
      labels: integers of any shape [...]; those without a colour, such as -1 and 255 of pixels
        without annotation, become light grey.
      palette: float [labels, 3] in [0, 1].

    Returns:
      float [..., 3].
    """
    labels = np.asarray(labels).astype(np.int64)
    known = (labels >= 0) & (labels < len(palette))
    colours = np.concatenate([palette, [NO_LABEL]])
    return colours[np.where(known, labels, len(palette))]
