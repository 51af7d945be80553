"""How a delivery goes on. Pure: no input, no output, no clock, no dice.

Each function gives the delivery as it is afterwards; whoever saves it first is right::

    pending -- claim --> pending, claimed -- 2xx --> delivered
       ^                        |
       |                        +-- another answer, or none --> pending again; after the last try: given up
       +-- replay               +-- 410 --> disabled, and with it the later events of that batch to that receiver

A sender that dies leaves its claim behind. Once that has run out, the next one claims the delivery and counts a try.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sync_core.domain.errors import WrongState
from sync_core.jobs.ports.event_outbox import Attempt, DeliveryStatus, WebhookDelivery
from sync_core.jobs.ports.webhook_sender import Answer

KEPT_ATTEMPTS = 20
_MINUTE, _HOUR = 60.0, 3600.0
_GONE = 410
_LAPSED = "No answer was recorded: the process that sent it ended. The receiver may have got it."


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to try again: the schedule of Standard Webhooks 1.0, ten attempts within 75 hours and a half.

    Each delay is lengthened by up to `jitter` of itself. A receiver's Retry-After may lengthen it too, up to
    `longest_retry_after_seconds`.
    """

    delays_seconds: tuple[float, ...] = (
        5.0,
        5 * _MINUTE,
        30 * _MINUTE,
        2 * _HOUR,
        5 * _HOUR,
        10 * _HOUR,
        14 * _HOUR,
        20 * _HOUR,
        24 * _HOUR,
    )
    jitter: float = 0.1
    longest_retry_after_seconds: float = 24 * _HOUR

    @property
    def most_tries(self) -> int:
        return 1 + len(self.delays_seconds)

    def delay_seconds(self, tries: int, retry_after_seconds: float | None, *, luck: float) -> float | None:
        """Give the time until the next attempt after `tries` of them, or None if there is to be none.

        `luck` is drawn from 0 to 1 by the caller.
        """
        if tries >= self.most_tries:
            return None
        scheduled = self.delays_seconds[tries - 1] * (1.0 + self.jitter * luck)
        return max(scheduled, min(retry_after_seconds or 0.0, self.longest_retry_after_seconds))


def claim(delivery: WebhookDelivery, *, now: datetime, lease_seconds: float) -> WebhookDelivery:
    """Take a delivery that is due; one whose last claim ran out has had a try of which nothing is known."""
    until = now + timedelta(seconds=lease_seconds)
    if delivery.claimed_until is not None:
        lapsed = Attempt(delivery.claimed_until, 0.0, error=_LAPSED)
        delivery = replace(delivery, tries=delivery.tries + 1, attempts=_logged(delivery, lapsed))
    return replace(delivery, claimed_until=until, next_attempt_at=until)


def after_answer(
    delivery: WebhookDelivery, answer: Answer, *, began_at: datetime, now: datetime, policy: RetryPolicy, luck: float
) -> WebhookDelivery:
    """Log an attempt, and decide what becomes of the delivery."""
    seconds = max((now - began_at).total_seconds(), 0.0)
    attempt = Attempt(began_at, seconds, answer.status_code, answer.error)
    tried = replace(delivery, tries=delivery.tries + 1, attempts=_logged(delivery, attempt))
    if answer.error is None:
        return _ended(tried, DeliveryStatus.DELIVERED, None)
    if answer.status_code == _GONE:
        return _ended(tried, DeliveryStatus.DISABLED, "The receiver answered 410: it wants no more of this batch.")
    delay = policy.delay_seconds(tried.tries, answer.retry_after_seconds, luck=luck)
    if delay is None:
        return given_up(tried)
    return replace(tried, claimed_until=None, next_attempt_at=now + timedelta(seconds=delay))


def given_up(delivery: WebhookDelivery) -> WebhookDelivery:
    """End a delivery whose tries are used up."""
    last = delivery.attempts[-1].error if delivery.attempts else None
    reason = f"Given up after {delivery.tries} attempts; replay it once the receiver works. The last one: {last}"
    return _ended(delivery, DeliveryStatus.GIVEN_UP, reason)


def undeliverable(delivery: WebhookDelivery, obstacle: str) -> WebhookDelivery:
    """End a delivery that cannot be sent as things are set."""
    return _ended(delivery, DeliveryStatus.UNDELIVERABLE, f"{obstacle} Then replay the event.")


def disabled(delivery: WebhookDelivery, by: WebhookDelivery) -> WebhookDelivery:
    """End a delivery to a receiver that another event of its batch has been refused by for good."""
    reason = f"The receiver answered 410 to {by.event.event_id}: it wants no more of this batch."
    return _ended(delivery, DeliveryStatus.DISABLED, reason)


def disabling(delivery: WebhookDelivery, of_batch: Iterable[WebhookDelivery]) -> WebhookDelivery | None:
    """Find the event of the same batch and receiver that was answered 410; a replay goes out all the same."""
    if delivery.replays:
        return None
    return next((other for other in of_batch if _has_disabled(other, delivery)), None)


def replay(delivery: WebhookDelivery, *, now: datetime) -> WebhookDelivery:
    """Send an event anew, at once and with all tries, whatever became of it before.

    Raises
    ------
    WrongState
        If it is being sent at this moment.
    """
    if delivery.is_claimed(now):
        raise WrongState(f"Webhook event {delivery.event.event_id} is being sent just now; look at it in a minute.")
    return replace(
        delivery,
        status=DeliveryStatus.PENDING,
        tries=0,
        replays=delivery.replays + 1,
        next_attempt_at=now,
        claimed_until=None,
        reason=None,
    )


def _has_disabled(other: WebhookDelivery, delivery: WebhookDelivery) -> bool:
    is_another = other.event.event_id != delivery.event.event_id and other.webhook_url == delivery.webhook_url
    return is_another and bool(other.attempts) and other.attempts[-1].status_code == _GONE


def _ended(delivery: WebhookDelivery, status: DeliveryStatus, reason: str | None) -> WebhookDelivery:
    return replace(delivery, status=status, reason=reason, next_attempt_at=None, claimed_until=None)


def _logged(delivery: WebhookDelivery, attempt: Attempt) -> tuple[Attempt, ...]:
    return (*delivery.attempts, attempt)[-KEPT_ATTEMPTS:]
