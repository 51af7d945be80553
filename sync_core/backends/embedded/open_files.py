"""Tell whether somebody is writing to a file, where the system can."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

try:
    import fcntl
except ModuleNotFoundError:  # a system without it cannot tell
    fcntl = None  # type: ignore[assignment]

_CAN_TELL = fcntl is not None and hasattr(fcntl, "F_SETLEASE")


def is_being_written(path: Path) -> bool | None:
    """Tell whether any process has the file open for writing; None if the system does not say.

    Linux gives a read lease on a file only while nobody has it open for writing. That holds for file systems of this
    machine, not for what other machines do on a network's. The lease is given back at once; a writer who comes in
    between waits for that, and the signal that tells of him is one that is ignored by default.
    """
    if not _CAN_TELL:
        return None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    finally:
        os.close(handle)
    return False
