"""Training curves on disk: TensorBoard event files, and a CSV beside them (Figs. 7 and 8)."""

import csv
import pathlib
from collections.abc import Mapping

from tensorboard.summary import Writer

from hpunet_jax.files import write_aside

FILE_NAME = "metrics.csv"


class MetricsLog:
    """Appends rows of named scalars. A context manager: leaving it flushes everything."""

    def __init__(self, workdir: str | pathlib.Path, start_step: int):
        """Args:
        workdir: folder for metrics.csv and the event files.
        start_step: rows of an earlier run beyond this step are dropped: a resumed run writes
            them again.
        """
        self._path = pathlib.Path(workdir) / FILE_NAME
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._columns: list[str] | None = None
        _keep_rows_until(self._path, start_step)
        self._file = self._path.open("a", newline="")
        self._tensorboard = Writer(str(workdir))

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *exc_info) -> None:
        self._file.close()
        self._tensorboard.close()

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes one row; all rows of a run have the same scalars."""
        row = {"step": step, **scalars}
        if self._columns is None:
            self._columns = list(row)
            if self._file.tell() == 0:
                csv.writer(self._file).writerow(self._columns)
        csv.DictWriter(self._file, self._columns).writerow(row)
        self._file.flush()
        for name, value in scalars.items():
            self._tensorboard.add_scalar(name, value, step=step)
        self._tensorboard.flush()


def _keep_rows_until(path: pathlib.Path, step: int) -> None:
    if not path.exists():
        return
    header, *rows = path.read_text().splitlines(keepends=True) or [""]
    kept = [row for row in rows if row.endswith("\n") and int(row.split(",", 1)[0]) <= step]
    with write_aside(path) as aside:
        aside.write_text("".join([header, *kept]) if kept else "")
