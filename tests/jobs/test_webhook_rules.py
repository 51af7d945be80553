"""The rules of a delivery: what becomes of it after each answer, and when it is tried again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.batch import EventType
from sync_core.domain.errors import WrongState
from sync_core.jobs import webhook_rules as rules
from sync_core.jobs.ports.event_outbox import DeliveryStatus, Event, WebhookDelivery, batch_of_event
from sync_core.jobs.ports.webhook_sender import Answer
from sync_core.jobs.webhook_rules import RetryPolicy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BATCH = "batch_20260301_120000_0a1b2c3d"
POLICY = RetryPolicy()
OK, FAILED, GONE = Answer(204), Answer(500, "It answered 500."), Answer(410, "It answered 410.")

lucks = st.floats(0, 1)
failures = st.builds(
    Answer,
    st.sampled_from([None, 301, 302, 307, 400, 404, 429, 500, 502, 503, 504]),
    st.just("It failed."),
    st.one_of(st.none(), st.floats(0, 1e7)),
)


def recorded(kind: EventType = EventType.BATCH_STARTED, url: str = "https://a.example/") -> WebhookDelivery:
    event_id = f"evt_20260301_120000_0a1b2c3d_{kind.removeprefix('batch.')}"
    return WebhookDelivery(Event(event_id, kind, BATCH, url, NOW, {}), DeliveryStatus.PENDING, next_attempt_at=NOW)


def answered(delivery: WebhookDelivery, answer: Answer, *, now: datetime = NOW, luck: float = 0.0) -> WebhookDelivery:
    """Claim a delivery and give the answer at once."""
    claimed = rules.claim(delivery, now=now, lease_seconds=60)
    return rules.after_answer(claimed, answer, began_at=now, now=now, policy=POLICY, luck=luck)


def test_the_schedule_is_the_specifications():
    delivery, now, times = recorded(), NOW, []
    while delivery.next_attempt_at is not None:
        now = delivery.next_attempt_at
        times.append((now - NOW).total_seconds())
        delivery = answered(delivery, FAILED, now=now)
    hours = [0, 0, 0, 0.5, 2.5, 7.5, 17.5, 31.5, 51.5, 75.5]
    assert times == [0, 5, 305, 2105, *(round(hour * 3600 + 305) for hour in hours[4:])]
    assert delivery.status is DeliveryStatus.GIVEN_UP
    assert "10 attempts" in delivery.reason
    assert "It answered 500." in delivery.reason


@given(st.lists(st.tuples(failures, lucks), min_size=10, max_size=10))
def test_a_delivery_that_always_fails_ends_after_the_last_try_and_never_earlier(answers):
    delivery, now = recorded(), NOW
    for number, (answer, luck) in enumerate(answers, start=1):
        assert delivery.status is DeliveryStatus.PENDING
        delivery = answered(delivery, answer, now=now, luck=luck)
        assert delivery.tries == number
        now = delivery.next_attempt_at or now
    assert (delivery.status, delivery.next_attempt_at) == (DeliveryStatus.GIVEN_UP, None)


@given(st.integers(1, 9), st.one_of(st.none(), st.floats(0, 1e7)), lucks)
def test_a_delay_is_the_schedules_with_jitter_or_what_the_receiver_asked_for(tries, retry_after, luck):
    delay = POLICY.delay_seconds(tries, retry_after, luck=luck)
    scheduled = POLICY.delays_seconds[tries - 1]
    asked = min(retry_after or 0.0, 24 * 3600)
    assert max(scheduled, asked) <= delay <= max(1.1 * scheduled, asked) + 1e-6


@given(st.integers(1, 8), lucks, lucks)
def test_delays_grow(tries, luck, more_luck):
    assert POLICY.delay_seconds(tries, None, luck=luck) < POLICY.delay_seconds(tries + 1, None, luck=more_luck)


@given(st.lists(failures, max_size=9), st.sampled_from([200, 201, 204, 299]))
def test_a_2xx_ends_it_whatever_was_before(before, status_code):
    delivery, now = recorded(), NOW
    for answer in before:
        delivery = answered(delivery, answer, now=now)
        now = delivery.next_attempt_at
    delivery = answered(delivery, Answer(status_code), now=now)
    assert (delivery.status, delivery.next_attempt_at, delivery.reason) == (DeliveryStatus.DELIVERED, None, None)
    assert [attempt.status_code for attempt in delivery.attempts] == [a.status_code for a in before] + [status_code]


def test_a_410_disables_at_the_first_attempt():
    delivery = answered(recorded(), GONE)
    assert (delivery.status, delivery.next_attempt_at) == (DeliveryStatus.DISABLED, None)
    assert "410" in delivery.reason


def test_a_410_disables_the_later_events_of_that_batch_to_that_receiver_and_no_others():
    gone = answered(recorded(), GONE)
    same, other = recorded(EventType.BATCH_COMPLETED), recorded(EventType.BATCH_COMPLETED, "https://b.example/")
    assert rules.disabling(same, [gone, same]) == gone
    assert rules.disabling(other, [gone, other]) is None
    assert rules.disabled(same, gone).status is DeliveryStatus.DISABLED
    assert gone.event.event_id in rules.disabled(same, gone).reason


def test_a_failure_other_than_410_disables_nothing():
    failed, same = answered(recorded(), FAILED), recorded(EventType.BATCH_COMPLETED)
    assert rules.disabling(same, [failed, same]) is None


def test_a_replay_goes_out_to_a_disabled_receiver_and_its_success_enables_the_others():
    gone, later = answered(recorded(), GONE), recorded(EventType.BATCH_COMPLETED)
    replayed = rules.replay(rules.disabled(later, gone), now=NOW)
    assert rules.disabling(replayed, [gone, replayed]) is None
    taken = answered(rules.replay(gone, now=NOW), OK)
    assert rules.disabling(later, [taken, later]) is None


@pytest.mark.parametrize("status", list(DeliveryStatus))
def test_a_replay_starts_anew_and_keeps_the_log(status: DeliveryStatus):
    ended = replace(answered(recorded(), FAILED), status=status, reason="Because.")
    later = NOW + timedelta(days=3)
    replayed = rules.replay(ended, now=later)
    assert (replayed.status, replayed.next_attempt_at, replayed.tries) == (DeliveryStatus.PENDING, later, 0)
    assert (replayed.replays, replayed.reason, replayed.attempts) == (1, None, ended.attempts)


def test_what_is_being_sent_cannot_be_replayed_until_its_claim_has_run_out():
    claimed = rules.claim(recorded(), now=NOW, lease_seconds=60)
    with pytest.raises(WrongState, match=claimed.event.event_id):
        rules.replay(claimed, now=NOW + timedelta(seconds=59))
    assert rules.replay(claimed, now=NOW + timedelta(seconds=60)).status is DeliveryStatus.PENDING


def test_a_claim_that_ran_out_counts_as_a_try_of_which_nothing_is_known():
    claimed = rules.claim(recorded(), now=NOW, lease_seconds=60)
    again = rules.claim(claimed, now=NOW + timedelta(seconds=61), lease_seconds=60)
    assert (again.tries, again.claimed_until) == (1, NOW + timedelta(seconds=121))
    assert "may have got it" in again.attempts[-1].error


def test_the_log_keeps_the_latest_attempts():
    delivery = recorded()
    for number in range(50):
        delivery = answered(rules.replay(delivery, now=NOW), Answer(500, f"number {number}"))
    assert len(delivery.attempts) == rules.KEPT_ATTEMPTS
    assert delivery.attempts[-1].error == "number 49"


def test_what_cannot_be_sent_says_what_to_set():
    ended = rules.undeliverable(recorded(), "No secret is set.")
    assert (ended.status, ended.next_attempt_at) == (DeliveryStatus.UNDELIVERABLE, None)
    assert ended.reason == "No secret is set. Then replay the event."


@pytest.mark.parametrize("kind", list(EventType))
def test_an_events_id_names_its_batch(kind: EventType):
    assert batch_of_event(recorded(kind).event.event_id) == BATCH
