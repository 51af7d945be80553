"""Reports as files: written under another name and renamed, so that a reader sees all of a document or nothing.

The other name begins with the key's, so that discarding a prefix takes along what a killed process left half written.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import ParamSpec, TypeVar

from sync_core.domain.errors import NotFound, StorageUnavailable

P = ParamSpec("P")
T = TypeVar("T")

_UNFINISHED = ".unfinished"


class EmbeddedReportStore:
    """The ReportStore port on a folder. Keys are relative paths, such as `batch_x/item_001-1.json`."""

    def __init__(self, folder: Path, *, threads: int = 8) -> None:
        self._folder = folder
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reports")
        self._durable_folders: set[Path] = set()

    async def put(self, key: str, content: bytes) -> None:
        await self._in_thread(self._put, self._path_of(key), content)

    async def get(self, key: str) -> bytes:
        content = await self._in_thread(_read_if_there, self._path_of(key))
        if content is None:
            raise NotFound(f"There is no report {key}.")
        return content

    async def discard(self, prefix: str, *, keep: str | None) -> None:
        kept = None if keep is None else self._path_of(keep)
        await self._in_thread(self._discard, self._path_of(f"{prefix}*"), kept)

    async def close(self) -> None:
        await asyncio.to_thread(self._pool.shutdown)

    def _path_of(self, key: str) -> Path:
        """Give the file of a key; a key that could lead elsewhere names no report."""
        parts = key.split("/")
        if "\0" in key or any(part in ("", ".", "..") or part.endswith(_UNFINISHED) for part in parts):
            raise NotFound(f"{key!r} is not the key of a report.")
        return self._folder / PurePosixPath(*parts)

    def _put(self, path: Path, content: bytes) -> None:
        self._make_folder(path.parent)
        unfinished = path.with_name(f"{path.name}.{secrets.token_hex(8)}{_UNFINISHED}")
        try:
            _write_durably(unfinished, content)
            unfinished.rename(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        flush_folder(path.parent)

    def _make_folder(self, folder: Path) -> None:
        """Create a folder so that it survives a power cut: its name is in its parent, which must be flushed too."""
        if folder in self._durable_folders:
            return
        if folder != self._folder:
            self._make_folder(folder.parent)
        folder.mkdir(parents=True, exist_ok=True)
        flush_folder(folder.parent)
        self._durable_folders.add(folder)

    def _discard(self, pattern: Path, kept: Path | None) -> None:
        prefix = pattern.name.removesuffix("*")
        with suppress(FileNotFoundError), os.scandir(pattern.parent) as entries:
            for entry in entries:
                if entry.name.startswith(prefix) and entry.is_file() and Path(entry.path) != kept:
                    Path(entry.path).unlink(missing_ok=True)

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, lambda: work(*args, **kwargs))
        except OSError as error:
            self._durable_folders.clear()  # somebody may have removed one
            raise StorageUnavailable(f"The folder of reports {self._folder} cannot be used: {error}.") from error


def _read_if_there(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
