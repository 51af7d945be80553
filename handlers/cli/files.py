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
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"Cannot write {path}: the folder {path.parent} is read-only.")


def write_whole(path: Path, text: str) -> None:
    """Write a text file under a temporary name and rename it, so that an interruption leaves nothing half-written.

    Raises
    ------
    InputError
        If the folder is missing or cannot be written to.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}.") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
