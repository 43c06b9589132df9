"""LIDC (App. C), the published crops: reading files from a folder or safely from a tar.gz archive.

Nothing of an archive is written under a name of its own choosing: the members are copied one
after the other into a single nameless temporary file, where they can be read in any order.
"""

import gzip
import os
import pathlib
import shutil
import tarfile
import tempfile
import zlib
from typing import Any, Protocol, runtime_checkable

import tqdm

from hpunet_jax.io.walk import list_files

_LARGEST_MEMBER = 2**26  # bytes; an image of a data set is never that large, a tar bomb is


@runtime_checkable
class Files(Protocol):
    """Readable files with names relative to a folder or archive, '/' between the parts."""

    path: pathlib.Path
    names: list[str]

    def read(self, name: str) -> bytes:
        """Returns the content of one file."""

    def close(self) -> None:
        """Frees what reading needs; no file can be read afterwards."""


class Folder:
    """The files below a folder, without clutter; links to folders are followed."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Lists the files.

        Args:
          path: the folder.

        Raises:
          ValueError, OSError: as `walk.walk`.
        """
        self.path = pathlib.Path(path)
        self.names = sorted(
            file.relative_to(self.path).as_posix() for file in list_files(self.path)
        )

    def read(self, name: str) -> bytes:
        """Returns the content of the file `name`."""
        return (self.path / name).read_bytes()

    def close(self) -> None:
        """Does nothing; a folder holds no resources."""


class Archive:
    """The regular files in a tar.gz archive."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        scratch: str | os.PathLike[str] | None = None,
        progress: bool = True,
    ) -> None:
        """Copies the members into a temporary file.

        Args:
          path: the archive.
          scratch: where the temporary file is made, on a disk with room for the unpacked
            archive; it vanishes on `close`, or with the process. None: the system's choice.
          progress: show a progress bar.

        Raises:
          ValueError: the archive is damaged or cut short, or has members that would be written
            outside of the folder it is unpacked in, that are links or devices, too large, or
            there twice; all of them are named.
        """
        self.path = pathlib.Path(path)
        self._places: dict[str, tuple[int, int]] = {}
        self._spool = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 (closed by close)
        try:
            self._copy_members(progress)
        except BaseException:
            self.close()
            raise
        self.names = sorted(self._places)

    def _copy_members(self, progress: bool) -> None:
        refused: list[str] = []
        try:
            with (
                gzip.open(self.path) as unpacked,
                tarfile.open(fileobj=unpacked, mode="r|") as archive,
                tqdm.tqdm(
                    archive, f"Reading {self.path.name}", unit=" files", disable=not progress
                ) as members,
            ):
                for member in members:
                    name = pathlib.PurePosixPath(member.name).as_posix()
                    if reason := _why_refused(member, name in self._places):
                        refused.append(f"  {member.name}: {reason}")
                    elif member.isreg():
                        begin = self._spool.tell()
                        content: Any = archive.extractfile(member)  # of a regular file, never None
                        shutil.copyfileobj(content, self._spool)
                        self._places[name] = (begin, self._spool.tell() - begin)
                    archive.members = []  # ty: ignore[missing-attribute]  # it would remember all
                # tarfile takes a damaged header for the end, behind which there are only zeros.
                # Reading on also makes gzip check that all was there and whole.
                while rest := archive.fileobj.read(2**20):
                    if rest.strip(b"\0"):
                        raise tarfile.ReadError("a file's header is damaged")
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(
                f"The archive {self.path} is damaged, cut short or no tar.gz file: {error}. "
                "Download it again."
            ) from error
        if refused:
            raise ValueError(
                f"The archive {self.path} is refused, since it has {len(refused)} unacceptable "
                "members. Download it again from where it was published.\n" + "\n".join(refused)
            )

    def read(self, name: str) -> bytes:
        """Returns the content of the member `name`."""
        begin, size = self._places[name]
        self._spool.seek(begin)
        return self._spool.read(size)

    def close(self) -> None:
        """Removes the temporary file."""
        self._spool.close()


def _why_refused(member: tarfile.TarInfo, seen: bool) -> str:
    # A Windows path understands both kinds of slashes, and drives.
    path = pathlib.PureWindowsPath(member.name)
    if path.drive or path.root or ".." in path.parts:
        return "it would be written outside of the folder the archive is unpacked in"
    if member.issym() or member.islnk():
        return f"it is a link (to {member.linkname})"
    if not member.isreg() and not member.isdir():
        return "it is neither a file nor a folder"
    if member.size > _LARGEST_MEMBER:
        return f"it has {member.size} bytes, expected at most {_LARGEST_MEMBER}"
    if seen and member.isreg():
        return "it is there twice"
    return ""
