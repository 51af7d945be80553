"""BatchStore against a model in plain lists: same answers and same state, whatever the order of calls."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from sync_core.domain.batch import ItemEnd, visible_status
from sync_core.domain.errors import LeaseLost, WrongState
from sync_core.domain.lease import Lease
from sync_core.jobs.ports.batch_store import Begun, Refusal
from tests.conformance.adapters import ADAPTERS, WALKS
from tests.conformance.batches import COMPLETED, FAILED, LEASE_SECONDS, REFUSED, STOPPED, Batches
from tests.conformance.machines import AdapterMachine, walk

TOTAL = 5
ITEM = st.integers(0, TOTAL)
ANY = st.randoms(use_true_random=False)


@dataclass
class ModelItem:
    """An item as the model has it: `holder` is the lease that may write, `ended_by` the one whose end is stored."""

    status: str = "pending"
    holder: Lease | None = None
    ended_by: Lease | None = None
    attempt: int = 0
    next_item: int | None = None


class BatchStoreMachine(AdapterMachine):
    @initialize(parallel_jobs=st.integers(1, 3))
    def upload(self, parallel_jobs: int) -> None:
        self.batches = Batches(self.backend.batch_store, self.backend.event_outbox, self.clock)
        self.batch_id = self.run(self.batches.started(TOTAL, parallel_jobs))
        self.items = [ModelItem() for _ in range(TOTAL)]
        self.parallel_jobs = parallel_jobs
        self.claimed = parallel_jobs
        self.cancelled = False
        self.leases: list[Lease] = []
        for item in self.items[:parallel_jobs]:
            item.status = "processing"

    @property
    def is_over(self) -> bool:
        return all(item.status in ("completed", "failed") for item in self.items)

    def is_leased(self, item: ModelItem) -> bool:
        return item.holder is not None and item.holder.until > self.clock.now()

    def end(self, item: ModelItem, end: ItemEnd, ended_by: Lease | None) -> None:
        item.status, item.holder, item.ended_by = end.status.value, None, ended_by
        if not self.cancelled and self.claimed < TOTAL:
            item.next_item = self.claimed
            self.items[self.claimed].status = "processing"
            self.claimed += 1

    @rule(seconds=st.sampled_from([1.0, LEASE_SECONDS / 2, LEASE_SECONDS]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(index=ITEM, worker=st.sampled_from(["worker-a", "worker-b"]))
    def begin(self, index: int, worker: str) -> None:
        answer = self.run(self.batches.attempt(self.batch_id, index, worker))
        expected = self.expected_refusal(index)
        if expected is not None:
            assert not isinstance(answer, Begun)
            assert answer.reason is expected
            if expected is Refusal.CANCELLED:
                self.end(self.items[index], STOPPED, None)
            return
        assert isinstance(answer, Begun)
        item = self.items[index]
        item.holder, item.attempt = answer.lease, item.attempt + 1
        assert answer.item.attempt == item.attempt
        assert all(answer.lease.fence > lease.fence for lease in self.leases if lease.item_index == index)
        self.leases.append(answer.lease)

    def expected_refusal(self, index: int) -> Refusal | None:
        if index >= self.claimed:
            return Refusal.UNKNOWN
        item = self.items[index]
        if item.status != "processing":
            return Refusal.ENDED
        if self.is_leased(item):
            return Refusal.LEASED
        return Refusal.CANCELLED if self.cancelled else None

    @precondition(lambda self: self.leases)
    @rule(random=ANY, end=st.sampled_from([COMPLETED, REFUSED, FAILED]))
    def finish(self, random: object, end: ItemEnd) -> None:
        lease = random.choice(self.leases)  # type: ignore[attr-defined]
        item = self.items[lease.item_index]
        if item.ended_by == lease:
            claimed = self.run(self.batches.finish(lease, end)).claimed
        elif item.holder == lease:
            claimed = self.run(self.batches.finish(lease, end)).claimed
            self.end(item, end, lease)
        else:
            with pytest.raises(LeaseLost):
                self.run(self.batches.finish(lease, end))
            return
        assert claimed == (() if item.next_item is None else (item.next_item,))

    @precondition(lambda self: self.leases)
    @rule(random=ANY)
    def renew(self, random: object) -> None:
        lease = random.choice(self.leases)  # type: ignore[attr-defined]
        item = self.items[lease.item_index]
        call = self.backend.batch_store.renew(lease, now=self.clock.now(), lease_seconds=LEASE_SECONDS)
        if item.holder != lease:
            with pytest.raises(LeaseLost):
                self.run(call)
            return
        renewed, cancelled = self.run(call)
        assert cancelled == self.cancelled
        self.leases[self.leases.index(lease)] = item.holder = renewed

    @precondition(lambda self: self.leases)
    @rule(random=ANY, count_attempt=st.booleans())
    def release(self, random: object, count_attempt: bool) -> None:
        lease = random.choice(self.leases)  # type: ignore[attr-defined]
        item = self.items[lease.item_index]
        call = self.backend.batch_store.release(lease, now=self.clock.now(), count_attempt=count_attempt)
        if item.holder != lease:
            with pytest.raises(LeaseLost):
                self.run(call)
            return
        self.run(call)
        item.holder = None
        item.attempt -= not count_attempt

    @rule(index=ITEM)
    def end_abandoned(self, index: int) -> None:
        call = self.backend.batch_store.end_abandoned(self.batch_id, index, FAILED, now=self.clock.now())
        change = self.run(call)
        item = self.items[index] if index < self.claimed else None
        assert (change is not None) == (item is not None and item.status == "processing" and not self.is_leased(item))
        if change is not None and item is not None:
            self.end(item, FAILED, None)

    @rule(index=ITEM)
    def mark_resent(self, index: int) -> None:
        self.run(self.backend.batch_store.mark_resent(self.batch_id, index, now=self.clock.now()))

    @precondition(lambda self: len(self.leases) > 2)
    @rule()
    def cancel(self) -> None:
        if self.is_over and not self.cancelled:
            with pytest.raises(WrongState):
                self.run(self.batches.cancel(self.batch_id))
            return
        self.run(self.batches.cancel(self.batch_id))
        self.cancelled = True
        for item in self.items[: self.claimed]:
            if item.status == "processing" and not self.is_leased(item):
                self.end(item, STOPPED, None)

    @invariant()
    def the_store_has_what_the_model_has(self) -> None:
        batch = self.run(self.batches.store.get(self.batch_id))
        items = self.run(self.batches.store.items(self.batch_id, limit=TOTAL))
        unclaimed = "cancelled" if self.cancelled else "pending"
        expected = [item.status if index < self.claimed else unclaimed for index, item in enumerate(self.items)]
        assert [visible_status(item, batch).value for item in items] == expected
        assert [item.next_item for item in items] == [item.next_item for item in self.items]
        assert [item.attempt for item in items] == [item.attempt for item in self.items]
        counts = self.run(self.batches.counts(self.batch_id))
        names = ("pending", "processing", "completed", "failed", "cancelled")
        assert counts == tuple(expected.count(name) for name in names)
        assert counts[1] <= self.parallel_jobs

    @invariant()
    def each_change_of_state_has_made_one_event(self) -> None:
        expected = ["batch.started"]
        if self.cancelled:
            expected.append("batch.cancelled")
        elif self.is_over:
            failed = all(item.status == "failed" for item in self.items)
            expected.append("batch.failed" if failed else "batch.completed")
        assert self.run(self.batches.events(self.batch_id)) == expected

    @invariant()
    def what_stalls_is_in_flight_and_unleased(self) -> None:
        for item in self.run(self.batches.store.stalled(now=self.clock.now(), limit=100)):
            model = self.items[item.index]
            assert model.status == "processing"
            assert not self.is_leased(model)


@pytest.mark.parametrize("kind", ADAPTERS)
def test_the_store_does_what_the_model_does(kind: str, data_dir: Path) -> None:
    walk(BatchStoreMachine, ADAPTERS[kind], data_dir, examples=WALKS.get(kind, 0), steps=40)
