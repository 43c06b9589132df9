"""What the page can ask for: pictures, hypotheses, uncertainty, decoding, fitting, saving.

The page holds a person's state, the noise of each latent scale in prior standard deviations and the
marks; each request brings what it needs of it. Here is only a bounded store of opened cases, which
several people share without seeing each other's choices.
"""

import collections
import hashlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hpunet_jax.app import arrays, saving
from hpunet_jax.app.asked import integer, mark_list, marked
from hpunet_jax.app.pictures import Picture, Pictures
from hpunet_jax.inference.case import Case
from hpunet_jax.inference.model import Model
from hpunet_jax.inference.padding import pad_to_multiple

_NUM_SAMPLES = 64
_AT_MOST = 6
_PREPARED = ("window", "percentiles", "spacing", "scale")  # of `Preparation`, in a record


class Opened(NamedTuple):
    """A picture that is encoded.

    Attributes:
      picture: the picture.
      case: its case, of the padded image.
      inside: the slices that cut the picture out of the padded image.
      warning: sentences, if the picture is unlike those that the model was trained on, or if no
        mask of it can be saved.
    """

    picture: Picture
    case: Case
    inside: tuple[slice, slice]
    warning: str | None


class Explorer:
    """Answers the page's requests; each method takes and gives JSON values."""

    def __init__(
        self, model: Model, name: str, pictures: Pictures, out: str | None, max_cases: int = 8
    ):
        """Args:
        model: the model.
        name: what the page calls it, such as its work directory.
        pictures: what can be opened.
        out: the folder to save to; None: nothing can be saved.
        max_cases: how many encoded pictures are kept at once.
        """
        self.model, self.name, self.pictures, self.out = model, name, pictures, out
        self._digest = model.digest()
        self._max_cases = max_cases
        self._cases: collections.OrderedDict[tuple[int, int], Opened] = collections.OrderedDict()
        self._lock = threading.Lock()  # the model computes for one request at a time

    def info(self) -> dict[str, Any]:
        """What the page shows of the model, and the pictures' names."""
        return {
            "model": self.name,
            "digest": self._digest,
            "images": list(self.pictures.names),
            "saves": self.out is not None,
        }

    def image(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """A picture with its graders and the shapes of its latent scales."""
        opened = self._open(request)
        picture = opened.picture
        graders = [
            {"name": g.name, "labels": arrays.to_json(np.where(g.labels == 255, 0, g.labels))}
            for g in picture.graders
        ]
        return {
            "id": integer(request, "image"),
            "name": picture.name,
            "slice": picture.slice,
            "slices": picture.slices,
            "spacing": picture.spacing,
            "window": picture.window,
            "presets": picture.presets,
            "pixels": arrays.to_json(picture.pixels),
            "graders": graders,
            "scales": [list(shape) for shape in opened.case.latent_shapes],
            "warning": opened.warning,
        }

    def hypotheses(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """A few distinct segmentations that stand for many samples."""
        opened = self._open(request)
        with self._lock:
            found = opened.case.hypotheses(num_samples=_NUM_SAMPLES, at_most=_AT_MOST)
            entries = [
                {
                    "labels": arrays.to_json(h.labels[opened.inside]),
                    "noise": arrays.noise_to_json(_noise(opened.case, h.latents)),
                    "share": h.share,
                    "area": _area(h.labels[opened.inside], opened.picture),
                    "recommended": h.recommended,
                }
                for h in found
            ]
        text = f"{_NUM_SAMPLES} samples in {len(entries)} distinct groups"
        return {"hypotheses": entries, "summary": text}

    def uncertainty(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Maps of where the samples differ, and the greatest value each can have."""
        opened = self._open(request)
        with self._lock:
            found = opened.case.uncertainty()
        nats = float(np.log(self.model.num_classes))
        tops = {"entropy": nats, "expected_entropy": nats, "mutual_information": nats, "std": 0.5}
        maps = {name: getattr(found, name)[opened.inside] for name in tops}
        maps["std"] = maps["std"].max(axis=-1)  # of the classes, the one that varies most
        maps["foreground"] = 1 - found.mean[opened.inside][..., 0]
        return {
            "agreement": found.agreement,
            "maps": {
                name: arrays.to_json(np.asarray(value, np.float32)) for name, value in maps.items()
            },
            "tops": {**tops, "foreground": 1.0},
        }

    def decode(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The segmentation of given noise."""
        opened = self._open(request)
        labels = self._decoded(opened, self._read_noise(opened, request))
        return {
            "labels": arrays.to_json(labels),
            "area": _area(labels, opened.picture),
            "digest": hashlib.sha256(labels.tobytes()).hexdigest()[:16],
        }

    def reconstruct(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The noise that stands for the reconstruction of a grader's segmentation."""
        opened = self._open(request)
        number = integer(request, "grader")
        graders = opened.picture.graders
        if not 0 <= number < len(graders):
            raise ValueError(f"`grader` is {number}, but this picture has {len(graders)} graders.")
        labels = np.where(graders[number].labels == 255, 0, graders[number].labels)
        padded, _ = pad_to_multiple(labels[..., None], self.model.network.size_multiple)
        with self._lock:
            means = [
                np.asarray(gaussian.mean) for gaussian in opened.case.posterior(padded[..., 0])
            ]
            return {"noise": arrays.noise_to_json(_noise(opened.case, means))}

    def fit(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The noise whose segmentation has the marked pixels as they are marked."""
        opened = self._open(request)
        inside, outside = (_marks(opened, request, name) for name in ("inside", "outside"))
        with self._lock:
            fitted = opened.case.fit(inside=inside, outside=outside)
            noise = arrays.noise_to_json(_noise(opened.case, fitted.latents))
        count, unmet = len(inside) + len(outside), int(fitted.unmet.sum())
        met = f"{count - unmet} of {count} marks" if unmet else f"all {count} marks"
        usual = "usual" if fitted.unusual < 3 else f"unusual ({fitted.unusual:.1f} σ)"
        text = f"fitted to {met} with {usual} latents"
        return {"noise": noise, "summary": text}

    def save(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Writes the segmentation and what it was made from; nothing is overwritten."""
        opened = self._open(request)
        folder = self._folder()
        noise = self._read_noise(opened, request)
        labels = self._decoded(opened, noise)
        with self._lock:
            latents = _latents(opened.case, noise)
        record = {
            "model": self.name,
            "weights": self._digest,
            "image": opened.picture.source,
            "image_digest": opened.picture.digest,
            "slice": opened.picture.slice,
            **{name: getattr(opened.picture.preparation, name) for name in _PREPARED},
            "from": str(request.get("from", ""))[:200],
            "marks": mark_list(request),
            "noise": arrays.noise_to_json(noise),
            "latents": arrays.noise_to_json(latents),
            "latent_shapes": [list(shape) for shape in opened.case.latent_shapes],
        }
        name, files = saving.save(
            folder,
            self._saved_name(opened),
            labels,
            record,
            size=opened.picture.size or None,
            volume=opened.picture.volume,
            number=opened.picture.slice,
        )
        return {"name": name, "files": [str(file) for file in files]}

    def saved(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The names of what was saved of a picture, as it is prepared now."""
        opened = self._open(request)
        if self.out is None:
            return {"names": []}
        names = saving.saved(self.out, self._saved_name(opened))
        return {"names": [n for n in names if self._digest_in(n) == opened.picture.digest]}

    def load(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The state of a saved segmentation."""
        opened = self._open(request)
        name = request.get("name")
        if name not in saving.saved(self._folder(), self._saved_name(opened)):
            raise ValueError("`name` must be that of a saved segmentation of this picture.")
        record = saving.read(f"{self._folder()}/{name}.json")
        if record.get("weights") != self._digest:
            raise ValueError(f"{name} was made with other weights than this model has.")
        if (digest := record.get("image_digest")) != opened.picture.digest:
            raise ValueError(
                f"{name} was saved of other pixels: open {record.get('image')} with the window, "
                "percentiles, spacing and scale of its record to load it."
                if digest
                else f"{name} has no `image_digest` that says of which pixels it was saved: it is "
                "of an earlier version, so save it anew."
            )
        noise = arrays.noise_from_json(record.get("noise"), opened.case.latent_shapes)
        return {
            "name": name,
            "noise": arrays.noise_to_json(noise),
            "marks": record.get("marks", []),
        }

    def _open(self, request: Mapping[str, Any]) -> Opened:
        number, slice_number = integer(request, "image"), integer(request, "slice", 0)
        if not 0 <= number < len(self.pictures.names):
            raise ValueError(
                f"`image` is {number}, but there are {len(self.pictures.names)} images, from 0."
            )
        place = (number, slice_number)
        with self._lock:
            if place not in self._cases:
                picture = self.pictures.open(*place)
                padded, inside = pad_to_multiple(picture.pixels, self.model.network.size_multiple)
                case = self.model.open(padded, spacing=picture.spacing)
                warnings = [self.model.warning(picture.name, picture.pixels)]
                if picture.unsavable and self.out is not None:
                    warnings.append(f"Nothing can be saved of this image: {picture.unsavable}")
                warning = " ".join(filter(None, warnings)) or None
                self._cases[place] = Opened(picture, case, inside, warning)
            self._cases.move_to_end(place)
            while len(self._cases) > self._max_cases:
                self._cases.popitem(last=False)
            return self._cases[place]

    def _read_noise(self, opened: Opened, request: Mapping[str, Any]) -> list[np.ndarray]:
        return arrays.noise_from_json(request.get("noise"), opened.case.latent_shapes)

    def _decoded(self, opened: Opened, noise: Sequence[np.ndarray]) -> np.ndarray:
        """The label map [H, W] of a picture for given noise."""
        with self._lock:
            labels = opened.case.decode(noise=noise)
        return labels[opened.inside].astype(np.uint8)

    def _folder(self) -> str:
        if self.out is None:
            raise ValueError("nothing can be saved: the program was started without --out.")
        return self.out

    def _digest_in(self, name: str) -> str | None:
        """The digest of the pixels that a saved segmentation is of; None of what is no record."""
        try:
            return saving.read(f"{self._folder()}/{name}.json").get("image_digest")
        except (ValueError, OSError):  # it stands beside the others, and is never loaded
            return None

    def _saved_name(self, opened: Opened) -> str:
        picture = opened.picture
        return picture.name if picture.slices == 1 else f"{picture.name}_slice{picture.slice}"


def _noise(case: Case, latents: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Latents in standard deviations of the prior, given all coarser ones."""
    priors = case.prior(latents)
    pairs = zip(latents, priors, strict=True)
    return [np.asarray((z - g.mean) / np.exp(g.log_std)) for z, g in pairs]


def _latents(case: Case, noise: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The latents of noise in prior standard deviations, scale by scale."""
    latents: list[np.ndarray | None] = [None] * len(noise)
    for scale, eps in enumerate(noise):
        gaussian = case.prior(latents)[scale]
        latents[scale] = np.asarray(gaussian.mean + np.exp(gaussian.log_std) * eps)
    return [z for z in latents if z is not None]


def _marks(opened: Opened, request: Mapping[str, Any], name: str) -> np.ndarray:
    """Marked pixels as rows and columns of the padded image [n, 2]."""
    offset = np.array([s.start for s in opened.inside])
    return marked(request, name, opened.picture.pixels.shape[:2]) + offset


def _area(labels: np.ndarray, picture: Picture) -> str:
    """The area of all that is no background, in mm² where the spacing is known, else in the file's
    pixels."""
    count = int((labels > 0).sum())
    if picture.spacing is None:
        resized = np.prod(picture.size or labels.shape) / labels.size
        return f"{round(count * resized):,} pixels"
    return f"{count * picture.spacing[0] * picture.spacing[1]:,.1f} mm²"
