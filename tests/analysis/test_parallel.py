"""Work on two cores keeps its order, stays near its caller, and passes errors on."""

from __future__ import annotations

import threading

import pytest

from sync_core.analysis.parallel import on_two_cores


def test_results_come_in_the_order_of_the_items():
    assert list(on_two_cores(lambda n: n * n, range(100))) == [n * n for n in range(100)]


def test_little_is_begun_ahead_of_a_caller_who_stops():
    begun: list[int] = []
    for result in on_two_cores(lambda n: begun.append(n) or n, range(1000)):
        if result == 3:
            break
    assert len(begun) < 20


def test_an_error_reaches_the_caller():
    def fail(n: int) -> int:
        if n == 5:
            raise ValueError("five")
        return n

    with pytest.raises(ValueError, match="five"):
        list(on_two_cores(fail, range(10)))


def test_two_threads_share_the_work():
    meet = threading.Barrier(2, timeout=10)
    assert list(on_two_cores(lambda _: meet.wait() >= 0, range(2))) == [True, True]


def test_work_within_work_is_done_on_its_own_thread() -> None:
    def threads(_: int) -> set[int]:
        return {threading.get_ident(), *on_two_cores(lambda _: threading.get_ident(), range(4))}

    assert [len(seen) for seen in on_two_cores(threads, range(8))] == [1] * 8
