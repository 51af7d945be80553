"""Write files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sync_core.domain.errors import InputError


def check_writable(path: Path) -> None:
    """Refuse an output that could not be written, before hours of work are spent on it.

    Raises
    ------
    InputError
        If the folder is missing or cannot be written to, or `path` is a folder itself.
    """
    if path.is_dir():
        raise InputError(f"Cannot write {path}: it is a folder.")
    if not path.parent.is_dir():
        raise InputError(f"Cannot write {path}: there is no folder {path.parent}.")
    must_be_writable = path if _is_stream(path) else path.resolve().parent
    if not os.access(must_be_writable, os.W_OK):
        raise InputError(f"Cannot write {path}: {must_be_writable} is read-only.")


def write_whole(path: Path, text: str) -> None:
    """Write a text file under a temporary name and rename it, so that an interruption leaves nothing half-written.

    A pipe or device, such as /dev/stdout, is written to as it is: renaming would put a file in its place.

    Raises
    ------
    InputError
        If the folder is missing or cannot be written to.
    """
    try:
        if _is_stream(path):
            path.write_text(text, encoding="utf-8", newline="")
        else:
            _replace(path.resolve(), text)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}.") from error


def _is_stream(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
