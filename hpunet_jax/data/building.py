"""Building TFDS data sets: whole or not at all, by one process at a time, from noted files."""

import contextlib
import errno
import hashlib
import io
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Mapping

from hpunet_jax.data.catalogue import find_builder
from hpunet_jax.data.tensorflow import tf, tfds
from hpunet_jax.files import cannot_write
from hpunet_jax.folders import check_local, used_alone
from hpunet_jax.io.walk import list_files

_NOTE = "source.json"  # in the folder of a built data set
_NOT_DATA = (".json", ".txt", ".md")  # reports and the like beside the files that are built from


def build(
    name: str,
    data_dir: str | os.PathLike[str],
    source: str | os.PathLike[str] | None = None,
    rebuild: bool = False,
) -> tfds.core.DatasetBuilder:
    """Builds one of our data sets, unless that has been done before.

    Args:
      name: as for `find_builder`.
      data_dir: where data sets are built.
      source: folder of the files to build from, for data sets that are built from files.
      rebuild: replace what has been built before.

    Returns:
      The prepared builder.

    Raises:
      ValueError: there is no such data set, its source is missing or not wanted, its files cannot
        be used, or it has been built from other files and `rebuild` is false.
      FileNotFoundError: there is no such source.
    """
    check_local(data_dir, "data_dir")
    data_dir = pathlib.Path(data_dir)
    # What is to be replaced may be damaged, so that it is not looked at.
    shown = find_builder(name, data_dir / ".nothing" if rebuild else data_dir)
    from_files = shown.MANUAL_DOWNLOAD_INSTRUCTIONS
    if source and not from_files:
        raise ValueError(f"{name} is not built from files: leave --source={source} out.")
    if source and not pathlib.Path(source).is_dir():
        raise FileNotFoundError(f"--source={source} is no folder. {from_files}")
    if source and not any(pathlib.Path(source).iterdir()):
        raise FileNotFoundError(f"--source={source} is empty. {from_files}")
    if source and pathlib.Path(source).resolve() == data_dir.resolve():
        raise ValueError(
            f"--source={source} is the folder where data sets are built: give another --data_dir, "
            "or what is built would be taken for a source."
        )
    if shown.is_prepared():
        if source:
            _check_source(shown, source, data_dir)
        return shown
    if from_files and not source:
        raise ValueError(
            f"{name} is built from files that you have: give their folder, as in "
            f"--source=downloads/{name.partition('/')[0]}. {from_files}"
        )
    return build_whole(lambda folder: find_builder(name, folder), data_dir, source, rebuild)


def build_whole(
    find: Callable[[pathlib.Path], tfds.core.DatasetBuilder],
    data_dir: str | os.PathLike[str],
    source: str | os.PathLike[str] | None = None,
    rebuild: bool = False,
) -> tfds.core.DatasetBuilder:
    """Builds a data set aside and renames it, so that it is there whole or not at all.

    Of several processes one builds, and the others wait for it.

    Args:
      find: gives the builder for a data directory.
      data_dir: where the data set is to be.
      source: folder of the files to build from, if any.
      rebuild: replace what is there.

    Returns:
      The prepared builder.

    Raises:
      ValueError, OSError: as `build_aside`.
    """
    data_dir = pathlib.Path(data_dir)
    with used_alone(data_dir, wait=True):
        if not rebuild and find(data_dir).is_prepared():
            return find(data_dir)  # by the process that this one waited for
        note = _describe(source, data_dir) if source else None
        build_aside(find, data_dir, source, note)
    return find(data_dir)


def build_aside(
    find: Callable[[pathlib.Path], tfds.core.DatasetBuilder],
    data_dir: pathlib.Path,
    source: str | os.PathLike[str] | None = None,
    note: Mapping[str, str] | None = None,
) -> None:
    """Builds a data set aside and renames it; only where nobody else builds in `data_dir`.

    Args:
      find: gives the builder for a data directory.
      data_dir: where the data set is to be; what is there is replaced.
      source: folder of the files to build from, if any.
      note: what these files are, to be kept with the data set.

    Raises:
      ValueError: by the builder, if files cannot be used.
      OSError: if the disk is full; nothing is left on it then.
    """
    aside = data_dir / ".building"
    shutil.rmtree(aside, ignore_errors=True)  # left by a process that was killed
    try:
        config = tfds.download.DownloadConfig(manual_dir=source)
        built = find(aside)
        with contextlib.redirect_stdout(io.StringIO()):  # TFDS names the folder aside
            built.download_and_prepare(download_config=config)
        folder = pathlib.Path(built.data_path)
        if note:
            (folder / _NOTE).write_text(json.dumps(note), encoding="utf-8")
        place = data_dir / folder.relative_to(aside)
        if place.exists():
            place.rename(aside / "replaced")
        place.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(place)
    except (OSError, RuntimeError, tf.errors.OpError) as error:
        full = os.strerror(errno.ENOSPC)  # TFDS hides it in errors of several kinds
        if full not in str(error):
            raise
        raise cannot_write(data_dir, OSError(errno.ENOSPC, full)) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _check_source(
    builder: tfds.core.DatasetBuilder, source: str | os.PathLike[str], data_dir: pathlib.Path
) -> None:
    note = pathlib.Path(builder.data_path) / _NOTE
    before = json.loads(note.read_text(encoding="utf-8")) if note.exists() else None
    if before and before["files"] == _describe(source, data_dir)["files"]:
        return
    origin = f"other files, in {before['folder']}" if before else "files that nobody noted"
    raise ValueError(
        f"{builder.info.full_name} in {builder.data_path} was built from {origin}, not from those "
        f"in {source}: give --rebuild to replace it, another --data_dir to keep both, or no "
        "--source to use it as it is."
    )


def _describe(source: str | os.PathLike[str], data_dir: pathlib.Path) -> dict[str, str]:
    """A folder, and a digest of its files' names, sizes and times; data sets in it are no part."""
    folder = pathlib.Path(source).absolute()
    digest = hashlib.sha256()
    built = data_dir.absolute()
    for path in list_files(folder):
        if path.suffix in _NOT_DATA or built in path.parents:
            continue
        state, inner = path.stat(), path.relative_to(folder)
        digest.update(f"\n{inner.as_posix()} {state.st_size} {state.st_mtime_ns}".encode())
    return {"folder": str(folder), "files": digest.hexdigest()}
