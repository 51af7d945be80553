"""The back ends that every suite in this folder runs against; a new one joins by a line in ADAPTERS."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from sync_core.backends.embedded.open import open_backend
from sync_core.jobs.ports.backend import Backend
from tests.aws_emulators import EMULATORS, open_under_clock
from tests.fakes.clock import FakeClock
from tests.fakes.workshop import stop_time_during_work

MAX_RECEIVES = 3


def open_embedded(data_dir: Path, clock: FakeClock) -> Backend:
    backend = open_backend(data_dir, clock=clock, max_receives=MAX_RECEIVES)
    stop_time_during_work(backend, clock)
    return backend


def open_aws(emulator: str, _data_dir: Path, clock: FakeClock) -> Backend:
    return open_under_clock(emulator, clock, max_receives=MAX_RECEIVES)


ADAPTERS: dict[str, Callable[[Path, FakeClock], Backend]] = {
    "embedded": open_embedded,
    **{emulator: partial(open_aws, emulator) for emulator in EMULATORS},
}

WALKS = {"embedded": 60, "ministack": 5}
"""How many random walks each adapter is taken on; a step costs an emulator a hundred times as much."""
