"""The rules of batches and items, played through at random: what design section 3 calls invariants 1, 2, 5, 6 and 7."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sync_core.domain.batch import (
    Batch,
    BatchStatus,
    Change,
    Counters,
    EventType,
    Item,
    ItemEnd,
    ItemRequest,
    ItemStatus,
    Priority,
    StartOptions,
    cancel,
    end_item,
    estimated_completion,
    start,
    visible_status,
)
from sync_core.domain.errors import WrongState
from sync_core.domain.methods import DEFAULT_METHODS

NOW = datetime(2025, 8, 28, 14, 6, tzinfo=UTC)
REQUEST = ItemRequest("/mnt/data/master.wav", "/mnt/data/dub.wav", DEFAULT_METHODS)
ENDS = {
    ItemStatus.COMPLETED: ItemEnd(ItemStatus.COMPLETED, {}, confidence=0.5),
    ItemStatus.FAILED: ItemEnd(ItemStatus.FAILED, error="No audio.", error_code="NO_AUDIO"),
    ItemStatus.CANCELLED: ItemEnd(ItemStatus.CANCELLED),
}


def uploaded(total: int) -> Batch:
    return Batch("batch_20250828_140600_a1b2c3d4", BatchStatus.UPLOADED, Counters(total), 2, Priority.NORMAL, NOW)


def item(index: int, status: ItemStatus = ItemStatus.PENDING) -> Item:
    return Item("batch_20250828_140600_a1b2c3d4", index, REQUEST, status)


class BatchMachine(RuleBasedStateMachine):
    """A store that keeps what the rules return, and knows which items are in flight and how the others ended."""

    @initialize(total=st.integers(1, 12))
    def upload(self, total: int) -> None:
        self.batch = uploaded(total)
        self.in_flight: set[int] = set()
        self.ended: dict[int, ItemStatus] = {}
        self.events: list[EventType] = []
        self.claims: list[int] = []

    def take(self, change: Change) -> None:
        changed_state = change.batch.status is not self.batch.status
        assert changed_state == (change.event is not None), "one event per change of state, and none without"
        self.batch = change.batch
        self.in_flight |= set(change.claimed)
        self.claims += change.claimed
        self.events += [change.event] if change.event else []

    @rule(parallel_jobs=st.integers(1, 5))
    def start(self, parallel_jobs: int) -> None:
        if self.batch.status is BatchStatus.UPLOADED:
            self.take(start(self.batch, StartOptions(parallel_jobs), NOW))
        else:
            with pytest.raises(WrongState):
                start(self.batch, StartOptions(parallel_jobs), NOW)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), status=st.sampled_from(list(ENDS)))
    def end(self, data: st.DataObject, status: ItemStatus) -> None:
        if status is ItemStatus.CANCELLED and self.batch.status is not BatchStatus.CANCELLED:
            status = ItemStatus.FAILED
        index = data.draw(st.sampled_from(sorted(self.in_flight)))
        self.in_flight.remove(index)
        self.ended[index] = status
        self.take(end_item(self.batch, ENDS[status], NOW))

    @rule()
    def cancel(self) -> None:
        if self.batch.status in (BatchStatus.COMPLETED, BatchStatus.FAILED):
            with pytest.raises(WrongState):
                cancel(self.batch, NOW)
            return
        change = cancel(self.batch, NOW)
        if self.batch.status is BatchStatus.CANCELLED:
            assert change == Change(self.batch), "repeating it changes nothing"
        self.take(change)

    @invariant()
    def every_item_is_counted_once(self) -> None:
        c = self.batch.counters
        assert c.pending + c.in_flight + c.completed + c.failed + c.cancelled == c.total
        assert min(c.pending, c.in_flight, c.completed, c.failed, c.cancelled) >= 0
        assert c.in_flight == len(self.in_flight)

    @invariant()
    def what_is_counted_is_what_is_shown(self) -> None:
        c = self.batch.counters
        stored = [item(index, self.ended.get(index, ItemStatus.PENDING)) for index in range(c.total)]
        shown = Counter(visible_status(each, self.batch).value for each in stored)
        counted = {
            "pending": c.pending,
            "processing": c.in_flight,
            "completed": c.completed,
            "failed": c.failed,
            "cancelled": c.cancelled,
        }
        assert shown == Counter(counted)

    @invariant()
    def the_window_holds(self) -> None:
        assert self.batch.counters.in_flight <= self.batch.parallel_jobs

    @invariant()
    def items_are_claimed_once_and_in_order(self) -> None:
        assert self.claims == list(range(self.batch.counters.next_item))

    @invariant()
    def a_batch_ends_with_its_last_item(self) -> None:
        status, c = self.batch.status, self.batch.counters
        all_done = c.completed + c.failed == c.total
        assert (status in (BatchStatus.COMPLETED, BatchStatus.FAILED)) == (
            all_done and status is not BatchStatus.CANCELLED
        )
        if status is BatchStatus.FAILED:
            assert c.failed == c.total
        if status is BatchStatus.PROCESSING:
            assert c.in_flight, "nobody would move it on"

    @invariant()
    def terminal_is_terminal(self) -> None:
        assert sum(event is not EventType.BATCH_STARTED for event in self.events) == self.batch.status.is_terminal
        assert len(set(self.events)) == len(self.events)
        assert (self.batch.ended_at is not None) == self.batch.status.is_terminal


def test_the_invariants_hold_whatever_happens() -> None:
    run_state_machine_as_test(BatchMachine, settings=settings(max_examples=100, stateful_step_count=30, deadline=None))


def test_starting_keeps_what_the_upload_said_unless_told_otherwise() -> None:
    batch = replace(uploaded(3), priority=Priority.LOW, webhook_url="https://a.example/x")
    kept = start(batch, StartOptions(), NOW).batch
    assert (kept.priority, kept.webhook_url, kept.parallel_jobs) == (Priority.LOW, "https://a.example/x", 2)
    told = start(batch, StartOptions(4, Priority.HIGH, "https://a.example/y"), NOW).batch
    assert (told.priority, told.webhook_url, told.parallel_jobs) == (Priority.HIGH, "https://a.example/y", 4)


def test_the_average_is_taken_over_the_items_that_have_an_offset() -> None:
    batch = start(uploaded(4), StartOptions(4), NOW).batch
    assert batch.counters.average_confidence == 0.0
    for confidence in (0.8, None, 0.4):
        batch = end_item(batch, ItemEnd(ItemStatus.COMPLETED, {}, confidence), NOW).batch
    assert batch.counters.average_confidence == pytest.approx(0.6)


def test_progress_counts_ended_items_with_one_decimal() -> None:
    batch = start(uploaded(3), StartOptions(), NOW).batch
    assert batch.progress_percent == 0.0
    assert end_item(batch, ENDS[ItemStatus.FAILED], NOW).batch.progress_percent == 33.3
    assert cancel(batch, NOW).batch.progress_percent == 33.3


def test_completion_is_estimated_from_the_pace_so_far() -> None:
    batch = start(uploaded(3), StartOptions(1), NOW).batch
    later = NOW + timedelta(seconds=10)
    assert estimated_completion(uploaded(3), NOW) is None
    assert estimated_completion(batch, later) is None
    one_done = end_item(batch, ENDS[ItemStatus.COMPLETED], later).batch
    assert estimated_completion(one_done, later) == later + timedelta(seconds=20)
    assert estimated_completion(cancel(one_done, later).batch, later) is None


@pytest.mark.parametrize("index", [0, 8, 98, 99, 9999])
def test_item_ids_count_from_one_and_grow_beyond_three_digits(index: int) -> None:
    assert item(index).item_id == {0: "item_001", 8: "item_009", 98: "item_099", 99: "item_100"}.get(
        index, "item_10000"
    )


def test_a_lease_holds_until_its_time_and_not_at_it() -> None:
    leased = replace(item(0), lease_until=NOW)
    assert leased.is_leased(NOW - timedelta(microseconds=1))
    assert not leased.is_leased(NOW)
    assert not item(0).is_leased(NOW)
