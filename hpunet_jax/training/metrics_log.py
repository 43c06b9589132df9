"""Training curves on disk: TensorBoard event files, and a CSV beside them (Figs. 7 and 8)."""

import contextlib
import os
import pathlib
import shutil
import time
import types
from collections.abc import Generator, Mapping, Sequence

from absl import logging
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event  # ty: ignore[missing-module-member]
from tensorboard.compat.proto.summary_pb2 import Summary  # ty: ignore[missing-module-member]
from tensorboard.summary import Writer
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.summary.writer.record_writer import RecordWriter

from hpunet_jax.buckets import AnyPath, BucketError, Mirror, place
from hpunet_jax.figures.panels import save_figure
from hpunet_jax.files import cannot_write, read_bytes, remove_left_over, write_aside

FILE_NAME = "metrics.csv"
PUBLISH_SECONDS = 60  # how long a row in a bucket may be missing
VALIDATION = "validation_"
"""How the names of a validation's columns begin."""


class MetricsLog:
    """Appends rows of named scalars. A context manager: leaving it flushes everything.

    Columns that begin with "validation_" hold numbers in the rows of validations only, "nan" in
    others; a run may begin and end to have them.
    """

    def __init__(self, workdir: str | AnyPath, start_step: int):
        """Args:
          workdir: folder for metrics.csv, the event files and the pictures of validations. In a
            bucket they are written whole again, once a minute and by `publish`, since nothing can
            be appended to an object.
          start_step: rows of an earlier run beyond this step are dropped: a resumed run writes
            them again.

        Raises:
          ValueError: if metrics.csv is no file of this kind.
        """
        self._workdir = place(workdir, "the work directory")
        on_disk = isinstance(self._workdir, pathlib.Path)
        self._mirror = None if on_disk else Mirror(self._workdir)
        if self._mirror is not None:
            self._mirror.fetch([FILE_NAME, "events.out.tfevents.*"])
        self._folder = self._mirror.folder if self._mirror else pathlib.Path(self._workdir)
        self._path = self._folder / FILE_NAME
        self._folder.mkdir(parents=True, exist_ok=True)
        remove_left_over(self._path)
        self._header = _keep_rows_until(self._path, start_step)
        _keep_events_until(self._folder, start_step)
        self._file = self._path.open("ab", buffering=0)
        self._tensorboard = Writer(str(self._folder))
        self._pictures: EventFileWriter | None = None

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *exc_info: object) -> None:
        self._file.close()
        # What could not be written has been said by then.
        with contextlib.suppress(*([OSError] if kind else [])):
            self._tensorboard.close()
        with contextlib.suppress(*([OSError] if kind else [])):
            if self._pictures is not None:
                self._pictures.close()
        if self._mirror is not None:
            self._mirror.publish()
            self._mirror.close()

    def publish(self) -> None:
        """Brings all rows to where they are kept; before a checkpoint of their step is saved."""
        if self._mirror is not None:
            self._mirror.publish()

    def check_columns(self, names: Sequence[str]) -> None:
        """Raises a `ValueError` if the rows that are there have other scalars than these.

        Validations' need not be among them.
        """
        columns = ["step", *names]
        if self._header is None:
            self._header = columns
            self._append(columns)
            return
        new = [name for name in columns if name not in self._header]
        other = sorted(set(new) | (set(self._header) - set(columns)))
        if wrong := [name for name in other if not name.startswith(VALIDATION)]:
            raise ValueError(
                f"{self._path} has rows with other columns than this run writes "
                f"({', '.join(wrong)}): move the file away, and training begins a new one."
            )
        if new:
            self._add_columns(new)

    def write(
        self,
        step: int,
        scalars: Mapping[str, float],
        pictures: Mapping[str, Figure] = types.MappingProxyType({}),
    ) -> None:
        """Writes one row.

        Args:
          step: number of steps done.
          scalars: the row; in all rows of a run the same, but for those of validations.
          pictures: file names -> figures of this step, for the folder `validation` and for
            TensorBoard.

        Raises:
          OSError: if the disk is full; the rows before stay whole.
        """
        self.check_columns(list(scalars))
        row = {"step": step, **scalars}
        self._append([row.get(name, "nan") for name in self._header or []])
        with self._naming(self._folder):
            for name, value in scalars.items():
                self._tensorboard.add_scalar(name, value, step=step)
            self._tensorboard.flush()
            for name, figure in pictures.items():
                self._draw(step, name, figure)
        if self._mirror is not None and self._mirror.age() > PUBLISH_SECONDS:
            self._mirror.publish()

    def _draw(self, step: int, name: str, figure: Figure) -> None:
        path = self._workdir / VALIDATION.rstrip("_") / f"step{step:07d}_{name}"
        save_figure(figure, path)
        width, height = (int(pixels) for pixels in figure.get_size_inches() * figure.dpi)
        image = Summary.Image(
            height=height, width=width, colorspace=4, encoded_image_string=read_bytes(path)
        )
        value = Summary.Value(tag=f"{VALIDATION}{path.stem.partition('_')[2]}", image=image)
        if self._pictures is None:  # of their own, since `Writer` writes scalars only
            self._pictures = EventFileWriter(str(self._folder), filename_suffix=".pictures")
        event = Event(step=step, wall_time=time.time(), summary=Summary(value=[value]))
        self._pictures.add_event(event)
        self._pictures.flush()

    def _append(self, cells: Sequence[object]) -> None:
        """Appends a line as a whole or not at all."""
        line = f"{','.join(map(str, cells))}\n".encode()
        before = self._path.stat().st_size
        with self._naming(self._path):
            try:
                while line:  # of a full disk, the first call may write a part
                    line = line[self._file.write(line) :]
            except OSError:
                os.truncate(self._path, before)
                raise

    def _add_columns(self, names: Sequence[str]) -> None:
        """Gives the rows so far columns without numbers."""
        header, *rows = self._path.read_text(encoding="utf-8").splitlines()
        lines = [",".join([header, *names]), *(row + ",nan" * len(names) for row in rows)]
        self._file.close()
        with self._naming(self._path), write_aside(self._path) as aside:
            aside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        self._file = self._path.open("ab", buffering=0)
        self._header = [*(self._header or []), *names]

    @contextlib.contextmanager
    def _naming(self, path: pathlib.Path) -> Generator[None]:
        try:
            yield
        except BucketError:
            raise
        except OSError as error:
            raise cannot_write(path, error) from error


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
    """Drops the events beyond a step from the event files; what is damaged stays as it is."""
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
