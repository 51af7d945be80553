"""Where an emulator is not what AWS is: tests that fail there for a reason that is not the adapter's.

Each is a strict expected failure, so that an emulator that learns better is noticed; what would only cost time is left
out there.
"""

from __future__ import annotations

import pytest

_NO_FAIR_QUEUES = "serves messages in the order in which they were sent, whatever their group"
_REAL_WAITING = "waits in real time, which the test's clock does not see; see tests/backends_aws/test_waiting.py"
_STALE_HANDLES = "lets a stale receipt handle act on a message that was received again"
_LONG_WALK = "takes longer for a walk than the seconds that the walk counts"
_IN_TURN = "answers one request after the other, so that with many at once some run out of time"
_COPIES_TABLE = "copies the whole table for each transaction"

EXPECTED_FAILURES = {
    ("ministack", "test_a_large_batch_does_not_delay_a_small_one"): _NO_FAIR_QUEUES,
    ("ministack", "test_batches_share_the_workers_evenly"): _NO_FAIR_QUEUES,
    ("moto", "test_a_large_batch_does_not_delay_a_small_one"): _NO_FAIR_QUEUES,
    ("moto", "test_a_stale_receipt_handle_does_nothing"): _STALE_HANDLES,
    ("moto", "test_batches_share_the_workers_evenly"): _NO_FAIR_QUEUES,
    ("moto", "test_dead_letters_are_hidden_while_they_are_handled"): _STALE_HANDLES,
}

LEFT_OUT = {
    ("ministack", "test_the_queue_does_what_the_model_does"): _LONG_WALK,
    ("ministack", "test_waiting_ends_when_a_message_becomes_visible"): _REAL_WAITING,
    ("ministack", "test_waiting_in_vain_takes_the_time_that_was_given"): _REAL_WAITING,
    ("moto", "test_a_crowd_of_an_unwanted_receiver_hides_nobody_else"): _COPIES_TABLE,
    ("moto", "test_cancel_while_items_finish"): _COPIES_TABLE,
    ("moto", "test_counters_under_64_parallel_finishers"): _COPIES_TABLE,
    ("moto", "test_a_large_batch_is_seen_wholly_or_not_at_all"): _COPIES_TABLE,
    ("moto", "test_many_receivers_get_each_message_once"): _IN_TURN,
    ("moto", "test_the_queue_does_what_the_model_does"): _LONG_WALK,
    ("moto", "test_the_store_does_what_the_model_does"): _COPIES_TABLE,
    ("moto", "test_waiting_ends_when_a_message_becomes_visible"): _REAL_WAITING,
    ("moto", "test_waiting_in_vain_takes_the_time_that_was_given"): _REAL_WAITING,
}


def mark(item: pytest.Item) -> None:
    """Mark a test that is about to run against an emulator, if that one differs there."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    place = (str(parameters.get("backend") or parameters.get("kind")), getattr(item, "originalname", ""))
    if reason := EXPECTED_FAILURES.get(place):
        item.add_marker(pytest.mark.xfail(strict=True, reason=f"{place[0]} {reason}"))
    if reason := LEFT_OUT.get(place):
        item.add_marker(pytest.mark.skip(reason=f"{place[0]} {reason}"))
