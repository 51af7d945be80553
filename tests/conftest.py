"""What all tests share."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("sync-analyzer", deadline=None)  # how long an example takes on a busy machine tests nothing
settings.load_profile("sync-analyzer")

_MEMORY = Path("/dev/shm")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Give a folder for a back end; in memory where the system has that, so that no test waits for a disk."""
    in_memory = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK)
    folder = Path(tempfile.mkdtemp(prefix="sync-analyzer-test-", dir=_MEMORY if in_memory else None))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
