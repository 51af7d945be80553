"""The storage answers late or not at all, at random: whether a write happened is then unknown."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync_core.domain.errors import StorageUnavailable, Throttled
from sync_core.jobs.overdue import Overdue
from tests.fakes.invariants import Watchman
from tests.fakes.tap import Call
from tests.fakes.workshop import open_workshop
from tests.faults import life as lives
from tests.faults.interruptions import Observer
from tests.faults.life import LIVES, Life

_MOST_CALLS = 80
_REFUSED, _LOST = "refused", "lost"

troubles = st.dictionaries(st.integers(0, _MOST_CALLS), st.sampled_from([_REFUSED, _LOST]), max_size=25)


@dataclass
class UnreliableStorage(Observer):
    """Refuses some calls, and loses the answers to others whose effect it keeps."""

    watchman: Watchman
    troubles: dict[int, str]
    made: list[str] = field(default_factory=list)

    async def __call__(self, name: str, call: Call) -> object:
        trouble = self.troubles.get(len(self.made))
        self.made.append(name)
        if trouble == _REFUSED:
            raise Throttled(f"{name} was refused")
        outcome = await super().__call__(name, call)
        if trouble == _LOST:
            raise StorageUnavailable(f"the answer to {name} was lost")
        return outcome


@pytest.mark.parametrize("name", LIVES)
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(troubles=troubles)
def test_refused_calls_and_lost_answers_change_nothing_about_the_end(
    name: str, troubles: dict[int, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = "/dev/shm" if Path("/dev/shm").is_dir() else tmp_path_factory.getbasetemp()
    with tempfile.TemporaryDirectory(dir=base) as folder:
        asyncio.run(live_through(troubles, Path(folder), LIVES[name]))


async def live_through(troubles: dict[int, str], data_dir: Path, life: Life) -> None:
    async with open_workshop(data_dir, max_receives=100, poll_seconds=1.0, overdue=Overdue(first_seconds=20)) as shop:
        life.script(shop, shop.analyzer)
        with closing(Watchman(data_dir)) as watchman:
            storage = UnreliableStorage(watchman, troubles)
            batch_id = await submit_patiently(shop, storage)
            patient = lives.worker(shop, "worker-a", storage, max_attempts=50)
            await lives.work_until_settled(shop, batch_id, patient)
            await lives.check_settled(shop, batch_id, life)


async def submit_patiently(shop, storage: UnreliableStorage) -> str:
    while True:
        try:
            return await lives.submit_and_start(shop, storage)
        except (StorageUnavailable, Throttled):
            shop.clock.advance(1)
