"""Buckets: the one door to objects at gs:// and s3:// (Google Cloud Storage, S3 and its kin).

An object store has no folders to lock and no files to rename. What takes their place here:

  written aside and renamed   an object is written whole in one request, or not at all
  a lock                      an object that must not exist is created (`create`): one wins
  a whole folder              it counts once its last object is there, as a checkpoint's digests

Requests that get no answer are repeated by the stores' own clients for half a minute or longer: a
lost connection is waited for. `files.py` and `folders.py` use this module where a path is in one.
"""

import contextlib
import fnmatch
import functools
import importlib
import importlib.util
import os
import pathlib
import re
import tempfile
import time
from collections.abc import Generator, Sequence
from typing import Any

from etils import epath
from fsspec.asyn import AsyncFileSystem

AnyPath = pathlib.Path | epath.Path
"""A file or folder, on a disk or in a bucket."""

# Nothing is remembered of what a bucket holds: other machines write there, too.
_RETRIES = {"config_kwargs": {"retries": {"mode": "standard", "max_attempts": 12}}}
_CLIENTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gs": ("gcsfs.core", "GCSFileSystem", {}),
    "s3": ("s3fs", "S3FileSystem", _RETRIES),
}


class BucketError(OSError):
    """A bucket that does not do what it is asked for; the message says what it answered."""


def place(path: str | os.PathLike[str], name: str) -> AnyPath:
    """The file or folder that a flag, field or argument names, on a disk or in a bucket.

    Args:
      path: a path, with ~ for the home folder, or an address: gs://bucket/run, s3://bucket/run.
      name: what it was given as, such as "--workdir".

    Raises:
      ValueError: for an address of another kind or without a bucket, and where the package that
        reaches the bucket is not installed.
    """
    text = os.fspath(path)
    # pathlib makes gs:/bucket of gs://bucket.
    slashes = "://" if isinstance(path, str) else ":/{1,2}"
    match = re.match(rf"([A-Za-z][A-Za-z0-9+.-]+){slashes}(.*)", text, re.DOTALL)
    if match is None:
        return pathlib.Path(text).expanduser()
    scheme, rest = match.groups()
    if scheme not in _CLIENTS:
        raise ValueError(
            f"{name}={text} has the scheme {scheme}://, but only local paths and buckets at "
            f"{' and '.join(f'{known}://' for known in _CLIENTS)} can be read and written."
        )
    if not rest.strip("/") or rest.startswith("/"):
        raise ValueError(f"{name}={text} names no bucket: give for instance {scheme}://bucket/run.")
    package = _CLIENTS[scheme][0].partition(".")[0]
    if importlib.util.find_spec(package) is None:
        raise ValueError(
            f"{name}={text} is in a bucket, which needs the package {package}: "
            "`pip install '.[buckets]'` in a clone."
        )
    return epath.Path(f"{scheme}://{rest.rstrip('/')}")


def is_bucket(path: str | os.PathLike[str]) -> bool:
    """Whether a path that `place` gave lies in a bucket."""
    return os.fspath(path).startswith(tuple(f"{scheme}://" for scheme in _CLIENTS))


def exists(path: AnyPath) -> bool:
    """Whether there is such an object, or any below this name."""
    with _asking(path, "read"):
        return _client(path).exists(str(path))


def is_file(path: AnyPath) -> bool:
    """Whether there is such an object."""
    with _asking(path, "read"):
        return _client(path).isfile(str(path))


def size(path: AnyPath) -> int:
    """An object's size in bytes."""
    with _asking(path, "read"):
        return _client(path).size(str(path))


def names_in(folder: AnyPath) -> list[str]:
    """The names directly below a folder, sorted; none if there is no such folder."""
    with _asking(folder, "read"):
        try:
            found = _client(folder).ls(str(folder), detail=False)
        except FileNotFoundError:
            return []
    own = str(folder).partition("://")[2]
    names = (name.rstrip("/").removeprefix(f"{own}/") for name in found)
    return sorted({name for name in names if name and "/" not in name})


def files_below(folder: AnyPath) -> list[str]:
    """All objects below a folder, as paths from there, sorted."""
    own = str(folder).partition("://")[2]
    with _asking(folder, "read"):
        found = _client(folder).find(str(folder), detail=False)
    return sorted(name.removeprefix(f"{own}/") for name in found)


def read_bytes(path: AnyPath) -> bytes:
    """An object's bytes; raises a `FileNotFoundError` if there is none."""
    with _asking(path, "read"):
        return _client(path).cat_file(str(path))


def download(path: AnyPath, file: pathlib.Path) -> None:
    """Copies an object to a local file."""
    with _asking(path, "read"):
        _client(path).get_file(str(path), str(file))


def upload(file: pathlib.Path, path: AnyPath) -> None:
    """Copies a local file to an object, in place of what was there; whole or not at all."""
    with _asking(path, "written"):
        _client(path).put_file(str(file), str(path))


def create(path: AnyPath, data: bytes) -> bool:
    """Writes an object unless there is one; returns whether it did. One of several writers wins."""
    with _asking(path, "written"):
        try:
            _client(path).pipe_file(str(path), data, mode="create")
        except FileExistsError:
            return False
    return True


def remove(path: AnyPath) -> None:
    """Removes an object, if there is one."""
    with _asking(path, "written"), contextlib.suppress(FileNotFoundError):
        _client(path).rm_file(str(path))


class Mirror:
    """A local folder for files that grow, whose contents are brought to a bucket now and then.

    Attributes:
      folder: the local folder.
    """

    def __init__(self, remote: AnyPath):
        self._remote = remote
        self._temporary = tempfile.TemporaryDirectory(prefix="hpunet_jax_")
        self.folder = pathlib.Path(self._temporary.name)
        self._published: dict[str, tuple[int, int]] = {}
        self._when = time.monotonic()

    def close(self) -> None:
        """Removes the local folder."""
        self._temporary.cleanup()

    def fetch(self, patterns: Sequence[str]) -> None:
        """Downloads the files whose names match one of the patterns."""
        for name in names_in(self._remote):
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
                download(self._remote / name, self.folder / name)

    def age(self) -> float:
        """Seconds since the last `publish`."""
        return time.monotonic() - self._when

    def publish(self) -> None:
        """Uploads what has changed."""
        for file in sorted(self.folder.iterdir()):
            state = file.stat()
            seen = (state.st_mtime_ns, state.st_size)
            if self._published.get(file.name) != seen:
                upload(file, self._remote / file.name)
                self._published[file.name] = seen
        self._when = time.monotonic()


def _client(path: AnyPath) -> AsyncFileSystem:
    return _clients(str(path).partition("://")[0])


@functools.cache
def _clients(scheme: str) -> AsyncFileSystem:
    module, name, options = _CLIENTS[scheme]
    client = getattr(importlib.import_module(module), name)
    return client(use_listings_cache=False, skip_instance_cache=True, **options)


@contextlib.contextmanager
def _asking(path: AnyPath, what: str) -> Generator[None]:
    """Turns what the stores' clients raise into errors that name the object."""
    try:
        yield
    except FileNotFoundError as error:
        if what == "read":
            raise FileNotFoundError(f"{path} does not exist.") from error
        bucket = "/".join(str(path).split("/", 3)[:3])
        raise BucketError(
            f"{path} cannot be written: there is no bucket {bucket}. Create it first."
        ) from error
    except FileExistsError:
        raise
    except Exception as error:  # the clients have errors of their own, of many kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise BucketError(
            f"{path} cannot be {what} ({reason}): check the bucket's name, your credentials and "
            "the connection. What was written before is kept."
        ) from error
