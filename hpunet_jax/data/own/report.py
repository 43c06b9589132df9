"""The report on own data (the layout of the published LIDC crops, Appendix C)."""

import dataclasses
import json

from hpunet_jax.data.crop_layout import Grader
from hpunet_jax.data.own.look import NO_WINDOW
from hpunet_jax.data.problems import Problem, count_kinds, to_lines

_MOST_LINES = 20  # of one kind, in the text


@dataclasses.dataclass(frozen=True)
class PartReport:
    """What a part holds.

    Attributes:
      images: number of images and volumes with at least one mask.
      slices: number of slices of the volumes.
      sizes: images by "height x width".
      kinds: images by kind of pixels: "grey 8 bit", "grey 16 bit" or "RGB 8 bit".
      spacings: images by the size of a pixel, where the file knows it.
      graders: masks by grader.
      graders_per_image: images by number of graders.
      classes: masks that have a class, by class; 255 is ignored.
      empty_masks: masks that have only class 0: the grader saw nothing.
      ignored_masks: masks that are 255 everywhere: as if the grader had not annotated the image.
      instances: instances of all images, or slices.
    """

    images: int
    slices: int
    sizes: dict[str, int]
    kinds: dict[str, int]
    spacings: dict[str, int]
    graders: dict[Grader, int]
    graders_per_image: dict[int, int]
    classes: dict[int, int]
    empty_masks: int
    ignored_masks: int
    instances: int


@dataclasses.dataclass(frozen=True)
class DataReport:
    """What a data set holds, and what is wrong with it.

    Attributes:
      folder: the data set.
      parts: what each part holds.
      problems: each file that training could not use.
      warnings: what is suspicious, and does not keep from training.
      size: height and width of all images, after fitting; None if they differ.
      channels: 1 or 3.
      bits: 8 or 16, of the images.
      graders: all graders.
      num_classes: the greatest class and 0 included.
      class_names: of `dataset.json`, if it is there.
      instances: whether there are maps of instances in place of graders' masks.
      values: the least and greatest value in all images.
      used: the values that become black and white, in words.
    """

    folder: str
    parts: dict[str, PartReport]
    problems: list[Problem]
    warnings: list[Problem]
    size: tuple[int, int] | None
    channels: int
    bits: int
    graders: list[Grader]
    num_classes: int
    class_names: list[str]
    instances: bool
    values: tuple[float, float]
    used: str

    @property
    def ready(self) -> bool:
        """Whether there are images to train on, and no problems."""
        return not self.problems and "train" in self.parts and self.parts["train"].images > 0

    def to_json(self) -> str:
        """The report for a program."""
        fields = {
            "problems_by_kind": count_kinds(self.problems),
            "warnings_by_kind": count_kinds(self.warnings),
            **dataclasses.asdict(self),
        }
        return json.dumps(fields, indent=1)

    def to_text(self) -> str:
        """The report for a person."""
        lines = []
        for part, found in self.parts.items():
            volumes = f", of volumes {found.slices:,} slices" if found.slices else ""
            lines.append(f"{part}: {found.images:,} images{volumes}")
            for name, counts in (
                ("size", found.sizes),
                ("pixels", found.kinds),
                ("spacing", found.spacings),
                ("graders per image", found.graders_per_image),
                ("masks of grader", found.graders),
                ("masks with class", self._named(found.classes)),
            ):
                shown = ", ".join(f"{value}: {count:,}" for value, count in counts.items())
                lines += [f"  {name:18} {shown}"] if shown else []
            if self.instances:
                lines.append(f"  {'instances':18} {found.instances:,}")
            else:
                lines.append(f"  {'empty masks':18} {found.empty_masks:,}")
                lines.append(f"  {'ignored masks':18} {found.ignored_masks:,}")
        shown = f"; black to white: {self.used}" if self.used else ""
        lines.append(f"values {self.values[0]:g} to {self.values[1]:g}{shown}")
        lines.append(f"{len(self.problems):,} problems")
        lines += to_lines(self.problems, _MOST_LINES)
        if self.warnings:
            lines.append(f"{len(self.warnings):,} warnings")
            lines += to_lines(self.warnings, _MOST_LINES)
        lines.append(self.advice())
        return "\n".join(lines) + "\n"

    def _named(self, classes: dict[int, int]) -> dict[str, int]:
        """Counts by the number of a class and, where it has one, its name."""
        names = dict(enumerate(self.class_names))
        return {
            f"{value} ({names[value]})" if value in names else str(value): count
            for value, count in classes.items()
        }

    def advice(self) -> str:
        """What to set in the config, or what to do first."""
        if self.problems:
            if {problem.kind for problem in self.problems} == {NO_WINDOW}:
                return "Check again with --window or --percentiles; training would refuse them."
            return "Mend or remove these files, then check again; training would refuse them."
        if not self.ready:
            return "Not ready for training: there is no folder train with images in it."
        size = "x".join(map(str, self.size)) if self.size else "several sizes"
        if self.instances:
            return (
                f"Ready for training: instances in images of {size}, "
                f"--config=configs/own_instances.py --config.model.image_channels={self.channels}."
            )
        return (
            f"Ready for training: images of {size}, --config.model.num_classes={self.num_classes} "
            f"--config.model.image_channels={self.channels}."
        )
