from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.invariants import look_once
from tests.fakes.workshop import Workshop, open_workshop


@pytest.fixture
async def shop(data_dir: Path) -> AsyncIterator[Workshop]:
    """Give a workshop; what it leaves behind must keep every invariant."""
    async with open_workshop(data_dir) as workshop:
        yield workshop
    look_once(data_dir)
