from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sync_core.backends.aws.open import AwsBackend
from tests.aws_emulators import EMULATORS, open_emulated
from tests.conformance.batches import Batches
from tests.fakes.clock import FakeClock


@pytest.fixture(params=EMULATORS)
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[AwsBackend]:
    """Give a back end on each of the emulators."""
    opened = open_emulated(request.param)
    yield opened
    await opened.close()


@pytest.fixture
async def ministack() -> AsyncIterator[AwsBackend]:
    """Give a back end on the emulator whose transactions are AWS's."""
    opened = open_emulated("ministack")
    yield opened
    await opened.close()


@pytest.fixture
def batches(backend: AwsBackend) -> Batches:
    return Batches(backend.batch_store, backend.event_outbox, FakeClock())


@pytest.fixture
def clocked(ministack: AwsBackend) -> Batches:
    """Give what `batches` is, on ministack alone."""
    return Batches(ministack.batch_store, ministack.event_outbox, FakeClock())
