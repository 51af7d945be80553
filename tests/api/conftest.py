from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.live import LiveService


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """One service with a worker, for all tests that bring their own batches."""
    with LiveService(tmp_path_factory.mktemp("service")) as live:
        yield live


@pytest.fixture(scope="session")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """A service without a worker: what is started stays queued."""
    with LiveService(tmp_path_factory.mktemp("idle"), worker=False, upload_max_bytes=200_000) as live:
        yield live


@pytest.fixture
def own(tmp_path) -> Iterator[LiveService]:
    """A service with a worker, for one test alone."""
    with LiveService(tmp_path) as live:
        yield live
