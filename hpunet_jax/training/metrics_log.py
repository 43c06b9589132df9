"""Training curves on disk: TensorBoard event files, and a CSV beside them (Figs. 7 and 8)."""

import csv
import pathlib
import shutil
from collections.abc import Mapping, Sequence

from absl import logging
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event  # ty: ignore[missing-module-member]
from tensorboard.summary import Writer
from tensorboard.summary.writer.record_writer import RecordWriter

from hpunet_jax.buckets import AnyPath, Mirror, place
from hpunet_jax.files import remove_left_over, write_aside

FILE_NAME = "metrics.csv"
PUBLISH_SECONDS = 60  # how long a row in a bucket may be missing


class MetricsLog:
    """Appends rows of named scalars. A context manager: leaving it flushes everything."""

    def __init__(self, workdir: str | AnyPath, start_step: int):
        """Args:
          workdir: folder for metrics.csv and the event files. In a bucket they are written whole
            again, once a minute and by `publish`, since nothing can be appended to an object.
          start_step: rows of an earlier run beyond this step are dropped: a resumed run writes
            them again.

        Raises:
          ValueError: if metrics.csv is no file of this kind.
        """
        folder = place(workdir, "the work directory")
        self._mirror = None if isinstance(folder, pathlib.Path) else Mirror(folder)
        if self._mirror is not None:
            self._mirror.fetch([FILE_NAME, "events.out.tfevents.*"])
            folder = self._mirror.folder
        self._path = pathlib.Path(folder) / FILE_NAME
        self._path.parent.mkdir(parents=True, exist_ok=True)
        remove_left_over(self._path)
        self._header = _keep_rows_until(self._path, start_step)
        _keep_events_until(self._path.parent, start_step)
        self._file = self._path.open("a", newline="")
        self._tensorboard = Writer(str(folder))

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *exc_info) -> None:
        self._file.close()
        self._tensorboard.close()
        if self._mirror is not None:
            self._mirror.publish()
            self._mirror.close()

    def publish(self) -> None:
        """Brings all rows to where they are kept; before a checkpoint of their step is saved."""
        if self._mirror is not None:
            self._mirror.publish()

    def check_columns(self, names: Sequence[str]) -> None:
        """Raises a `ValueError` if the rows that are there have other scalars than these."""
        columns = ["step", *names]
        if self._header is None:
            self._header = columns
            csv.writer(self._file).writerow(columns)
        elif set(columns) != set(self._header):
            other = sorted(set(columns) ^ set(self._header))
            raise ValueError(
                f"{self._path} has rows with other columns than this run writes "
                f"({', '.join(other)}): move the file away, and training begins a new one."
            )

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes one row; all rows of a run have the same scalars."""
        self.check_columns(list(scalars))
        csv.DictWriter(self._file, self._header or []).writerow({"step": step, **scalars})
        self._file.flush()
        for name, value in scalars.items():
            self._tensorboard.add_scalar(name, value, step=step)
        self._tensorboard.flush()
        if self._mirror is not None and self._mirror.age() > PUBLISH_SECONDS:
            self._mirror.publish()


def _keep_rows_until(path: pathlib.Path, step: int) -> list[str] | None:
    """Drops the rows beyond a step, and lines that are no rows; returns the columns, if any."""
    if not path.exists():
        return None
    first, *rest = path.read_text(encoding="utf-8", errors="replace").split("\n")
    if not first:
        return None
    columns = first.rstrip("\r").split(",")
    if columns[0] != "step" or len(set(columns)) != len(columns):
        raise ValueError(
            f"{path}, line 1: {first[:60]!r} is no header of training curves, which starts with "
            "`step`: move the file away, and training begins a new one."
        )
    *lines, _ = rest or [""]  # what follows the last line break was cut off by a kill
    bad = [i for i, line in enumerate(lines, start=2) if not _is_row(line, len(columns))]
    if bad:
        copy = path.with_name(f"{path.name}.damaged")
        shutil.copy2(path, copy)
        logging.warning(
            "%s: %d line(s) are no rows of %d numbers and are left out (the first is line %d); %s "
            "is the file as it was.", path, len(bad), len(columns), bad[0], copy,
        )  # fmt: skip
    rows = [line for line in lines if _is_row(line, len(columns))]
    kept = [row for row in rows if int(row.split(",", 1)[0]) <= step]
    with write_aside(path) as aside:
        aside.write_text("".join(f"{line}\n" for line in [first, *kept]) if kept else "")
    return columns if kept else None


def _is_row(line: str, num_columns: int) -> bool:
    cells = line.rstrip("\r").split(",")
    if len(cells) != num_columns or not (cells[0].isascii() and cells[0].isdecimal()):
        return False
    try:
        [float(cell) for cell in cells]
    except ValueError:
        return False
    return True


def _keep_events_until(folder: pathlib.Path, step: int) -> None:
    """Drops the events beyond a step from the event files; an unreadable end is dropped, too."""
    for path in sorted(folder.glob("events.out.tfevents.*")):
        records, dropped = [], False
        try:
            for record in RawEventFileLoader(str(path)).Load():
                keep = Event.FromString(record).step <= step
                records += [record] if keep else []
                dropped = dropped or not keep
        except Exception as error:  # TensorBoard raises many kinds for damaged files
            logging.warning("%s is left as it is: TensorBoard cannot read it (%s).", path, error)
            continue
        if dropped:
            with write_aside(path) as aside, aside.open("wb") as file:
                writer = RecordWriter(file)
                for record in records:
                    writer.write(record)
