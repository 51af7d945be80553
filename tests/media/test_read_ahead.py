"""Reading ahead: in order, within its bound of memory, and only what is wanted."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.domain.errors import MediaChanged
from sync_core.media.interrupted import Interrupted
from sync_core.media.ranges import ByteRange
from sync_core.media.read_ahead import ReadAhead
from tests.fakes.processes import wait_until

BLOCKS = [ByteRange(10 * number, 10 * number + 10) for number in range(50)]


class Source:
    """Gives blocks once it may; remembers what was asked for, and what was on its way at once."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.asked: list[ByteRange] = []
        self.most_at_once = 0
        self._running = 0
        self._lock = threading.Lock()

    def fetch(self, block: ByteRange) -> bytearray:
        with self._lock:
            self.asked.append(block)
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
        self.may_answer.wait(10)
        with self._lock:
            self._running -= 1
        return bytearray([block.start % 251]) * block.size


@pytest.fixture
def source() -> Source:
    return Source()


def reading(source: Source, **options: int) -> ReadAhead:
    return ReadAhead(source.fetch, **{"budget_bytes": 100, "threads": 4, **options})


def test_blocks_come_in_order_and_each_is_fetched_once(source: Source) -> None:
    ahead = reading(source)
    for number, block in enumerate(BLOCKS):
        assert ahead.get(block, BLOCKS[number + 1 :]) == bytearray([block.start % 251]) * 10
    assert sorted(source.asked) == BLOCKS
    ahead.close()


def test_what_will_be_asked_for_may_be_fetched_before(source: Source) -> None:
    ahead = reading(source)
    ahead.start(BLOCKS)
    wait_until(lambda: len(source.asked) == 10)
    assert ahead.get(BLOCKS[0], BLOCKS[1:]) == bytearray(10)
    assert sorted(source.asked) == BLOCKS[:10]
    ahead.close()


def test_so_many_requests_at_once_and_no_more(source: Source) -> None:
    source.may_answer.clear()
    ahead = reading(source)
    reader = threading.Thread(target=lambda: ahead.get(BLOCKS[0], BLOCKS[1:]))
    reader.start()
    wait_until(lambda: len(source.asked) == 4)
    source.may_answer.set()
    reader.join()
    wait_until(lambda: len(source.asked) == 10)
    assert source.most_at_once == 4
    ahead.close()


def test_no_more_is_fetched_ahead_than_there_is_room_for(source: Source) -> None:
    ahead = reading(source, budget_bytes=35)
    ahead.get(BLOCKS[0], BLOCKS[1:])
    wait_until(lambda: len(source.asked) == 3)
    ahead.get(BLOCKS[2], BLOCKS[3:])
    wait_until(lambda: len(source.asked) == 5)
    assert sorted(source.asked) == BLOCKS[:5]
    ahead.close()


@given(st.lists(st.integers(0, 49), min_size=1, max_size=30), st.integers(10, 120))
@settings(max_examples=50)
def test_what_is_held_stays_within_the_bound(order: list[int], budget: int) -> None:
    ahead = reading(Source(), budget_bytes=budget)
    for number in order:
        ahead.get(BLOCKS[number], BLOCKS[number + 1 :])
        with ahead._lock:
            held = sum(block.size for block in ahead._held)
        assert held <= budget + 4 * 10  # what was on its way to somewhere else when the reader jumped
    ahead.close()


def test_an_error_is_raised_to_the_reader_of_that_block_only(source: Source) -> None:
    def fetch(block: ByteRange) -> bytearray:
        if block == BLOCKS[2]:
            raise MediaChanged("it changed")
        return source.fetch(block)

    ahead = ReadAhead(fetch, budget_bytes=100, threads=4)
    for number in (0, 1):
        ahead.get(BLOCKS[number], BLOCKS[number + 1 :])
    with pytest.raises(MediaChanged):
        ahead.get(BLOCKS[2], BLOCKS[3:])
    ahead.close()


@pytest.fixture
def waiting(source: Source) -> Iterator[tuple[ReadAhead, threading.Thread, threading.Event, list[BaseException]]]:
    """A reader that waits for a block that does not come."""
    source.may_answer.clear()
    over, raised = threading.Event(), []
    ahead = ReadAhead(source.fetch, is_over=over.is_set)

    def read() -> None:
        try:
            ahead.get(BLOCKS[0], ())
        except Interrupted as error:
            raised.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    wait_until(lambda: source.asked)
    yield ahead, thread, over, raised
    source.may_answer.set()


def test_a_reader_that_is_not_waited_for_stops_within_a_second(waiting) -> None:
    _, thread, over, raised = waiting
    over.set()
    thread.join(1.5)
    assert len(raised) == 1


def test_closing_frees_the_reader(waiting) -> None:
    ahead, thread, _, raised = waiting
    ahead.close()
    thread.join(1.0)
    assert len(raised) == 1


def test_threads_end_with_their_file(source: Source) -> None:
    before = threading.active_count()
    ahead = reading(source)
    ahead.get(BLOCKS[0], BLOCKS[1:])
    assert threading.active_count() > before
    ahead.close()
    wait_until(lambda: threading.active_count() <= before)
