"""Keep a worker's slots busy: receive when a slot is free, never more; stop in an orderly way."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sync_core.domain.batch import Priority
from sync_core.domain.errors import SyncError, TransientError
from sync_core.domain.worker import WorkerInfo
from sync_core.jobs.duties import repeated
from sync_core.jobs.ports.clock import Clock
from sync_core.jobs.ports.work_queue import Delivery, WorkQueue
from sync_core.jobs.ports.worker_registry import WorkerRegistry
from sync_core.jobs.process import ItemProcessor, Outcome
from sync_core.jobs.sweep import Sweeper

log = logging.getLogger(__name__)

_ROTATION = (Priority.HIGH, Priority.NORMAL, Priority.HIGH, Priority.LOW, Priority.HIGH, Priority.NORMAL, Priority.HIGH)


def rotation() -> Iterator[tuple[Priority, ...]]:
    """Give orders in which to try the queues, for ever: high comes first 4 times in 7, normal twice, low once.

    So high is preferred and low never starves.
    """
    for first in itertools.cycle(_ROTATION):
        yield (first, *(priority for priority in Priority if priority is not first))


@dataclass(frozen=True, slots=True)
class WorkerPolicy:
    """How a worker runs.

    After `bugs_in_a_row` unforeseen errors on different items it stops itself, instead of emptying the queue into the
    dead letters.
    """

    slots: int = 1
    poll_seconds: float = 1.0
    announce_seconds: float = 5.0
    sweep_seconds: float = 15.0
    grace_seconds: float = 20.0
    bugs_in_a_row: int = 5
    storage_pause_seconds: float = 2.0


class WorkerBroken(SyncError):
    """Several items in a row met unforeseen errors: the fault is likely the worker's."""

    code = "WORKER_BROKEN"


@dataclass
class WorkerLoop:
    """One worker: receives, processes, announces itself, sweeps, and stops when told to."""

    info: WorkerInfo
    queue: WorkQueue
    registry: WorkerRegistry
    processor: ItemProcessor
    sweeper: Sweeper
    clock: Clock
    policy: WorkerPolicy
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _running: dict[asyncio.Task[None], int] = field(default_factory=dict)
    _bugged: set[tuple[str, int]] = field(default_factory=set)

    def stop(self) -> None:
        """Take no new item; what runs may finish within the grace time and is released after it."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`.

        Raises
        ------
        WorkerBroken
            After too many unforeseen errors in a row on different items.
        """
        pause = self.policy.storage_pause_seconds
        async with repeated(self._announce, self._sweep, clock=self.clock, pause_after_error_seconds=pause):
            try:
                await self._receive_until_stopped()
            finally:
                await self._drain()
        await self._withdraw()
        if self._is_broken:
            raise WorkerBroken(f"{len(self._bugged)} items in a row met unforeseen errors; see the log for each.")

    @property
    def _is_broken(self) -> bool:
        return len(self._bugged) >= self.policy.bugs_in_a_row

    async def _receive_until_stopped(self) -> None:
        """Poll once, and long, while the queue is empty; while it is not, fill all free slots at once.

        Receipts that are asked for together cost a back end that commits in groups one commit.
        """
        orders = rotation()
        flowing = False
        while free := await self._free_slots():
            waits = [0.0] * free if flowing else [self.policy.poll_seconds]
            flowing = any(await asyncio.gather(*(self._take(next(orders), wait) for wait in waits)))

    async def _free_slots(self) -> int:
        """Wait until a slot is free, and count those that are; 0 once the worker is to stop."""
        if len(self._running) >= self.policy.slots:
            stopping = asyncio.create_task(self._stopping.wait())
            try:
                await asyncio.wait({*self._running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                stopping.cancel()
        return 0 if self._stopping.is_set() else self.policy.slots - len(self._running)

    async def _take(self, order: tuple[Priority, ...], wait_seconds: float) -> bool:
        """Receive one delivery and begin to process it; tells whether there was one."""
        delivery = await self._receive(order, wait_seconds)
        if delivery is None:
            return False
        if self._stopping.is_set():
            await self._give_back(delivery)
            return True
        slot = self._lowest_free_slot()
        task = asyncio.create_task(self._process(delivery, slot))
        self._running[task] = slot
        task.add_done_callback(self._running.pop)
        return True

    def _lowest_free_slot(self) -> int:
        return min(set(range(self.policy.slots)) - set(self._running.values()))

    async def _receive(self, order: tuple[Priority, ...], wait_seconds: float) -> Delivery | None:
        lease = self.processor.policy.lease_seconds
        try:
            return await self.queue.receive(order, visibility_seconds=lease, wait_seconds=wait_seconds)
        except TransientError as error:
            log.warning("cannot receive: %s", error)
            await self.clock.sleep(self.policy.storage_pause_seconds)
            return None

    async def _give_back(self, delivery: Delivery) -> None:
        """Leave what arrived during the last poll to other workers."""
        try:
            await self.queue.extend(delivery, visibility_seconds=0.0)
        except TransientError as error:
            log.warning("left to its visibility timeout: %s", error)

    async def _withdraw(self) -> None:
        """Take the worker out of the registry; an entry that stays expires by itself."""
        try:
            await self.registry.withdraw(self.info.worker_id)
        except TransientError as error:
            log.warning("left to expire: %s", error)

    async def _process(self, delivery: Delivery, slot: int) -> None:
        """Process one delivery; whatever it raises, its message comes back by itself."""
        try:
            outcome = await self.processor.process(delivery, slot=slot)
        except TransientError as error:
            log.warning("left to its visibility timeout: %s", error)
            return
        except Exception:
            log.exception("a bug while processing %s", delivery.message)
            outcome = Outcome.BUG
        self._note_bugs(delivery, outcome)

    def _note_bugs(self, delivery: Delivery, outcome: Outcome) -> None:
        if outcome is Outcome.SAVED:
            self._bugged.clear()
        if outcome is Outcome.BUG:
            self._bugged.add((delivery.message.batch_id, delivery.message.item_index))
        if self._is_broken:
            self.stop()

    async def _drain(self) -> None:
        """Let the running items finish within the grace time, then release them."""
        if self._running:
            await asyncio.wait(self._running, timeout=self.policy.grace_seconds)
        left = list(self._running)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _announce(self) -> None:
        period = self.policy.announce_seconds
        await self.registry.announce(replace(self.info, seen_at=self.clock.now()), ttl_seconds=3 * period)
        await self.clock.sleep(period)

    async def _sweep(self) -> None:
        await self.sweeper.sweep()
        await self.clock.sleep(self.policy.sweep_seconds)
