"""From a media reference to a file that may be read: policy, symbolic links, special files, first bytes."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from sync_core.domain.errors import MediaCorrupt, MediaNotFound, MediaUnsupported, PathNotAllowed, StorageUnavailable
from sync_core.domain.media import MediaPolicy, MediaRef, MediaScheme, is_inside
from sync_core.media.remote_file import RemoteFile

_SIGNATURES = (
    (0, b"RIFF"),
    (0, b"RF64"),
    (0, b"BW64"),
    (0, b"riff"),
    (0, b"FORM"),
    (0, b"caff"),
    (0, b"fLaC"),
    (0, b"OggS"),
    (0, b"ID3"),
    (0, b"FLV"),
    (0, b"\x1a\x45\xdf\xa3"),
    (0, b"\x30\x26\xb2\x75"),
    (0, b"\x06\x0e\x2b\x34"),
    (0, b"\x00\x00\x01\xba"),
    (0, b"\x0b\x77"),
    (4, b"ftyp"),
    (4, b"moov"),
    (4, b"mdat"),
    (4, b"wide"),
    (4, b"free"),
)
"""Where the containers that are read here carry their mark: tells a damaged file from one that never was media."""


def resolve(ref: MediaRef, policy: MediaPolicy) -> Path:
    """Return the regular file that a reference to a local path means, with symbolic links followed.

    The roots themselves may be symbolic links; what lies in them must stay in them.

    Raises
    ------
    PathNotAllowed
        If the path is outside the roots, lexically or after following links, or the user may not read it.
    MediaNotFound
        If nothing is there.
    MediaUnsupported
        If it is a folder, a pipe, a device or a socket, none of which is ever opened.
    MediaCorrupt
        If the file is empty.
    StorageUnavailable
        If the storage itself fails.
    """
    assert ref.scheme is MediaScheme.FILE, "other references are opened by `open_remote`"
    allowed = policy.check(ref)
    path = Path(os.path.realpath(allowed.location))
    if not policy.unrestricted and not is_inside(str(path), [os.path.realpath(root) for root in policy.roots]):
        raise PathNotAllowed(
            f"{ref.location} leaves the media roots through a symbolic link; copy the file into a root"
        )
    _require_regular_file(path, ref.location)
    return path


def _require_regular_file(path: Path, name: str) -> None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MediaNotFound(f"{name} does not exist; check the path and that its volume is mounted") from error
    except PermissionError as error:
        raise PathNotAllowed(f"{name}: no permission to look into its folder; grant it to the worker's user") from error
    except OSError as error:
        raise _of_os_error(error, name) from error
    if not stat.S_ISREG(status.st_mode):
        raise MediaUnsupported(f"{name} is {_kind(status.st_mode)}, not a file; name a media file")
    if not os.access(path, os.R_OK):
        raise PathNotAllowed(f"{name}: no permission to read it; grant it to the worker's user")
    if status.st_size == 0:
        raise MediaCorrupt(f"{name} is empty (0 bytes), so nothing of it could be read; copy it again")


def _of_os_error(error: OSError, name: str) -> Exception:
    if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        return MediaNotFound(f"{name} cannot exist: {error.strerror}; check the path")
    return StorageUnavailable(f"{name} could not be read: {error.strerror}; the storage may be back later")


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def looks_like_media(file: Path | RemoteFile) -> bool:
    """Tell by its first bytes whether a file that no demuxer accepts is damaged media rather than something else."""
    with _opened(file) as opened:
        head = opened.read(16)
    return any(head[at : at + len(mark)] == mark for at, mark in _SIGNATURES)


def missing_wav_bytes(file: Path | RemoteFile) -> int:
    """Count the bytes that a WAV or RF64 file's header announces but the file does not have; 0 for anything else.

    FFmpeg shortens such a file silently, so a copy that was cut off would pass for a whole one.
    """
    with _opened(file) as opened:
        return _missing_data_bytes(opened, size_bytes(file)) if _begins_as_wav(opened) else 0


def is_wav(file: Path) -> bool:
    """Tell by its first bytes whether a file is a WAV or RF64 file; False for one that cannot be read."""
    try:
        with _opened(file) as opened:
            return _begins_as_wav(opened)
    except OSError:
        return False


def _begins_as_wav(file: _Readable) -> bool:
    return file.read(4) in (b"RIFF", b"RF64", b"BW64") and file.read(8)[4:] == b"WAVE"


def _missing_data_bytes(file: _Readable, size: int) -> int:
    long_length = 0
    while len(head := file.read(8)) == 8:
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"data":
            length = length if length < _STREAMED else long_length
            return max(file.tell() + length - size, 0) if length else 0
        body = file.read(16) if head[:4] == b"ds64" else b""
        long_length = int.from_bytes(body[8:16], "little") or long_length
        file.seek(length + length % 2 - len(body), os.SEEK_CUR)
    return 0


class _Readable(Protocol):
    def read(self, count: int, /) -> bytes: ...
    def seek(self, offset: int, whence: int = ..., /) -> int: ...
    def tell(self) -> int: ...


@contextmanager
def _opened(file: Path | RemoteFile) -> Iterator[_Readable]:
    """Read a file from its start; a remote one is put back to where its demuxer left it."""
    if isinstance(file, RemoteFile):
        position = file.tell()
        file.seek(0)
        yield file
        file.seek(position)
        return
    with file.open("rb") as opened:
        yield opened


def size_bytes(file: Path | RemoteFile) -> int:
    """Give a file's length."""
    return file.size_bytes if isinstance(file, RemoteFile) else file.stat().st_size


_STREAMED = 0x7FFF_0000
"""Lengths from here on are what encoders write that did not know the length."""
