"""Dropped files on a disk, and results in a folder beside them.

A disk keeps no versions: a file's version is its size, time and inode, which change whenever it is written, touched or
replaced, so that equal contents must be told by themselves.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sync_core.backends.embedded.open_files import is_being_written
from sync_core.backends.embedded.report_store import flush_folder
from sync_core.domain.errors import NotFound, StorageUnavailable
from sync_core.domain.media import MediaScheme, parse_media_ref
from sync_core.jobs.ports.drop_store import DROP, RESULTS, DropObject, DropUnreadable

_UNFINISHED = ".unfinished"
_SMALL_BYTES = 128 * 1024 * 1024


class EmbeddedDropStore:
    """The DropStore port on two folders, of which neither is in the other.

    Parameters
    ----------
    source
        A name for the drop folder; another one makes other batches of the same files.
    """

    knows_versions = False

    def __init__(self, drop_dir: Path, results_dir: Path, *, source: str) -> None:
        self.source = source
        self._folders = {DROP: drop_dir, RESULTS: results_dir}

    def folder_reference(self, key: str) -> str:
        return str(self._path_of(key).parent)

    async def find(self, key: str, version: str | None = None) -> DropObject | None:
        path = self._path_of(key)
        with self._as_ours(path):
            status = await asyncio.to_thread(regular_file_status, path)
        if status is None or not await asyncio.to_thread(self._is_inside, path):
            return None
        found = DropObject(key, version_of(status), status.st_size, str(path))
        return found if version in (None, found.version) else None

    async def read(self, found: DropObject) -> bytes | None:
        path = self._path_of(found.key)
        with self._as_ours(path):
            return await asyncio.to_thread(_read, path, found.version)

    async def beside(self, found: DropObject) -> Sequence[DropObject]:
        """List the files as they are now.

        The versions of small files, up to 128 MiB together, are those of their contents; reading larger ones would
        take too long, and they are told by their sizes and the times of their last changes.
        """
        path = self._path_of(found.key)
        with self._as_ours(path):
            return await asyncio.to_thread(_list, path.parent, found.key.rpartition("/")[0])

    async def unfinished(self, references: Iterable[str]) -> Sequence[str]:
        return await asyncio.to_thread(_unfinished, references)

    async def keys(self, prefix: str) -> Sequence[str]:
        area = _area_of(prefix)
        root = self._folders[area]
        folder = root / prefix.removeprefix(area).rpartition("/")[0]
        with self._as_ours(folder):
            names = await asyncio.to_thread(_walk, folder, root)
        return sorted(key for key in (f"{area}{name}" for name in names) if key.startswith(prefix))

    async def write(self, key: str, content: AsyncIterator[bytes]) -> None:
        path = self._path_of(key)
        unfinished = path.with_name(f".{secrets.token_hex(8)}{_UNFINISHED}")
        with self._as_ours(path):
            try:
                await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
                with await asyncio.to_thread(unfinished.open, "xb") as file:
                    async for chunk in content:
                        await asyncio.to_thread(file.write, chunk)
                    await asyncio.to_thread(_flush, file)
                await asyncio.to_thread(unfinished.rename, path)
                with suppress(OSError):  # what some file systems of a network cannot do
                    await asyncio.to_thread(flush_folder, path.parent)
            finally:
                with suppress(OSError):
                    await asyncio.to_thread(unfinished.unlink, missing_ok=True)

    async def remove(self, key: str) -> None:
        path = self._path_of(key)
        with self._as_ours(path):
            if await asyncio.to_thread(regular_file_status, path) is not None:
                await asyncio.to_thread(path.unlink, missing_ok=True)

    def _path_of(self, key: str) -> Path:
        """Give the file of a key; a key that could lead elsewhere names no file."""
        area = _area_of(key)
        parts = key.removeprefix(area).split("/")
        if "\0" in key or any(part in ("", ".", "..") for part in parts):
            raise NotFound(f"{key!r} names no file.")
        return self._folders[area] / PurePosixPath(*parts)

    def _is_inside(self, path: Path) -> bool:
        """Tell whether a file is where its name says; a linked folder could lead elsewhere."""
        return any(path.parent.resolve().is_relative_to(root.resolve()) for root in self._folders.values())

    @contextmanager
    def _as_ours(self, path: Path) -> Iterator[None]:
        try:
            yield
        except PermissionError as error:
            raise DropUnreadable(
                f"{path} may not be used ({error.strerror}); give the service access to it."
            ) from error
        except OSError as error:
            raise StorageUnavailable(f"{path} cannot be used just now: {error}.") from error


def _area_of(key: str) -> str:
    for area in (DROP, RESULTS):
        if key.startswith(area):
            return area
    raise NotFound(f"{key!r} is neither under {DROP} nor under {RESULTS}.")


def regular_file_status(path: Path) -> os.stat_result | None:
    """Look at a file; None if there is none, or something else, such as a link that could lead anywhere."""
    try:
        status = path.lstat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return None
        raise
    return status if stat.S_ISREG(status.st_mode) else None


def version_of(status: os.stat_result) -> str:
    """Name a file's version; it is another one whenever the file was written, touched or replaced."""
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"


def _read(path: Path, version: str) -> bytes | None:
    """Read a file that is the same before and after; None if it is not, or has gone."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    with os.fdopen(handle, "rb") as file:
        content = file.read() if version_of(os.fstat(handle)) == version else None
        return content if version_of(os.fstat(handle)) == version else None


def _list(folder: Path, key: str) -> list[DropObject]:
    with os.scandir(folder) as entries:
        files = sorted((entry.name, entry.path, entry.stat()) for entry in entries if entry.is_file())
    are_small = sum(status.st_size for _, _, status in files) <= _SMALL_BYTES
    return [
        DropObject(
            f"{key}/{name}",
            _content_hash(Path(path)) if are_small else f"{status.st_size}-{status.st_mtime_ns}",
            status.st_size,
            path,
        )
        for name, path, status in files
    ]


def _unfinished(references: Iterable[str]) -> list[str]:
    media = {text: parse_media_ref(text) for text in references}
    local = {text: Path(ref.location) for text, ref in media.items() if ref.scheme is MediaScheme.FILE}
    return [text for text, path in local.items() if is_being_written(path)]


def _content_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def _walk(folder: Path, root: Path) -> list[str]:
    return [
        (Path(place) / name).relative_to(root).as_posix()
        for place, _, names in os.walk(folder)
        for name in names
        if not name.endswith(_UNFINISHED)
    ]


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
