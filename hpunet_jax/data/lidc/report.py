"""LIDC-IDRI (Appendix C): the report of what became of each scan."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from hpunet_jax.data.lidc.index import Index
from hpunet_jax.data.lidc.split import SIZES
from hpunet_jax.data.problems import Problem, count_kinds, to_lines
from hpunet_jax.files import write_aside

REPORTS = ("report.json", "report.txt")
"""Their files."""


@dataclasses.dataclass(frozen=True)
class ScanResult:
    """What became of one scan.

    Attributes:
      series: series instance UID.
      patient: for instance "LIDC-IDRI-0078".
      part: "train", "val" or "test".
      fingerprint: of the files it was made from.
      num_images: crops written.
      num_lesions: lesions outlined by at least one radiologist.
      num_points: readings that give only a nodule's centre, disregarded.
      num_non_nodules: marks of what is no nodule, disregarded.
      num_dropped: slices left out because of their SliceLocation.
      problems: marked slices that could not be used.
      skipped: why the scan was not used; None if it was.
    """

    series: str
    patient: str
    part: str
    fingerprint: str = ""
    num_images: int = 0
    num_lesions: int = 0
    num_points: int = 0
    num_non_nodules: int = 0
    num_dropped: int = 0
    problems: tuple[Problem, ...] = ()
    skipped: Problem | None = None

    def to_json(self) -> str:
        """The result of a scan that was used, as text."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "ScanResult":
        """Reads what `to_json` wrote."""
        fields = json.loads(text)
        fields["problems"] = tuple(Problem(**problem) for problem in fields["problems"])
        return cls(**fields)


@dataclasses.dataclass(frozen=True)
class Report:
    """What became of all scans.

    Attributes:
      settings: what the crops were made with.
      counts: numbers by name.
      images: crops by part.
      patients: patients with crops by part.
      not_used: files and series of other kinds.
      skipped: the scans that were not used, and why.
      problems: files and slices that were not used, and why.
    """

    settings: Mapping[str, Any]
    counts: Mapping[str, int]
    images: Mapping[str, int]
    patients: Mapping[str, int]
    not_used: Mapping[str, int]
    skipped: Sequence[Problem]
    problems: Sequence[Problem]

    @classmethod
    def collect(
        cls,
        index: Index,
        results: Sequence[ScanResult],
        earlier: Sequence[ScanResult],
        problems: Sequence[Problem],
        settings: Mapping[str, Any],
    ) -> "Report":
        """Sums up.

        Args:
          index: what was found.
          results: of the scans, in any order.
          earlier: of scans that are done, but are not in the source any more.
          problems: of files.
          settings: what the crops were made with.

        Returns:
          The report.
        """
        results = sorted([*results, *earlier], key=lambda result: (result.patient, result.series))
        used = [result for result in results if result.skipped is None]
        sums = {
            name: sum(getattr(result, f"num_{field}") for result in used)
            for name, field in (
                ("crops", "images"),
                ("lesions", "lesions"),
                ("nodules given only by their centre", "points"),
                ("marks of what is no nodule", "non_nodules"),
                ("slices dropped by SliceLocation", "dropped"),
            )
        }
        counts = {
            "CT series": index.num_series,
            "CT series with readings": len(index.scans),
            "scans used": len(used),
            "scans used, made earlier and not in the source now": len(earlier),
            "scans used, but without an outlined lesion": sum(not r.num_lesions for r in used),
            **sums,
        }
        return cls(
            settings=settings,
            counts=counts,
            images={part: sum(r.num_images for r in used if r.part == part) for part in SIZES},
            patients={
                part: len({r.patient for r in used if r.part == part and r.num_images})
                for part in SIZES
            },
            not_used=index.not_used,
            skipped=[result.skipped for result in results if result.skipped],
            problems=[*problems, *(problem for result in used for problem in result.problems)],
        )

    def to_text(self, limit: int | None = None) -> str:
        """The report for a person.

        Args:
          limit: show only so many problems of a kind; None shows all.
        """
        lines = [f"{count:7,}  {name}" for name, count in self.counts.items()]
        for part, count in self.images.items():
            lines.append(f"{count:7,}  crops of {self.patients[part]:,} patients in {part}")
        lines += [f"{count:7,}  {name}, not used" for name, count in self.not_used.items() if count]
        for title, found in (("scans skipped", self.skipped), ("other problems", self.problems)):
            lines.append(f"{len(found):7,}  {title}")
            lines += [f"       {line}" for line in to_lines(found, limit)]
        return "\n".join(lines) + "\n"

    def to_json(self) -> str:
        """The report for a program, with the problems counted by kind."""
        fields = dataclasses.asdict(self)
        for name, found in (("skipped", self.skipped), ("problems", self.problems)):
            fields["counts"] = {**fields["counts"], name: len(found)}
            fields[f"{name}_by_kind"] = count_kinds(found)
        return json.dumps(fields, indent=1)

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Writes report.json and report.txt.

        Args:
          folder: where.
        """
        for name, text in zip(REPORTS, (self.to_json(), self.to_text()), strict=True):
            with write_aside(pathlib.Path(folder) / name) as path:
                path.write_text(text, encoding="utf-8")
