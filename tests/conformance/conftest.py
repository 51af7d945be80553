from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sync_core.jobs.ports.backend import Backend
from tests.conformance.adapters import ADAPTERS
from tests.conformance.batches import Batches
from tests.conformance.differences import mark
from tests.fakes.clock import FakeClock


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            mark(item)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=ADAPTERS)
async def backend(request: pytest.FixtureRequest, data_dir: Path, clock: FakeClock) -> AsyncIterator[Backend]:
    opened = ADAPTERS[request.param](data_dir, clock)
    yield opened
    await opened.close()


@pytest.fixture
def batches(backend: Backend, clock: FakeClock) -> Batches:
    return Batches(backend.batch_store, backend.event_outbox, clock)
