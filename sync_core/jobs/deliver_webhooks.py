"""Bring events to their receivers. Nothing here touches a batch: a dead receiver delays and fails none."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sync_core.domain.errors import SyncError, TransientError
from sync_core.jobs import webhook_rules as rules
from sync_core.jobs.ports.clock import Clock
from sync_core.jobs.ports.event_outbox import DeliveryStatus, EventOutbox, WebhookDelivery
from sync_core.jobs.ports.webhook_sender import WebhookSender
from sync_core.jobs.webhook_address import receiver_of
from sync_core.jobs.webhook_rules import RetryPolicy

log = logging.getLogger(__name__)

_ENDED_BADLY = (DeliveryStatus.GIVEN_UP, DeliveryStatus.DISABLED, DeliveryStatus.UNDELIVERABLE)


@dataclass(frozen=True, slots=True)
class DeliverWebhook:
    """Use case: one attempt at one delivery.

    A crash at any point leaves at most a claim behind. It runs out after `lease_seconds`, which must be longer than an
    attempt takes, and the event is sent again under the same id.
    """

    outbox: EventOutbox
    sender: WebhookSender
    clock: Clock
    policy: RetryPolicy = RetryPolicy()  # noqa: RUF009 - a frozen value
    lease_seconds: float = 60.0
    luck: Callable[[], float] = random.random

    async def claim(self, delivery: WebhookDelivery) -> WebhookDelivery | None:
        """Take a delivery that is due; None if another sender was faster."""
        return await self.outbox.save(rules.claim(delivery, now=self.clock.now(), lease_seconds=self.lease_seconds))

    async def attempt(self, claimed: WebhookDelivery) -> WebhookDelivery | None:
        """Send a claimed delivery once, and record what became of it; None if the claim had run out meanwhile."""
        saved = await self.outbox.save(await self._tried(claimed))
        if saved is None:
            log.warning("an answer came too late to be recorded", extra={"event_id": claimed.event.event_id})
            return None
        _log(saved)
        return saved

    async def _tried(self, claimed: WebhookDelivery) -> WebhookDelivery:
        if self.sender.obstacle is not None:
            return rules.undeliverable(claimed, self.sender.obstacle)
        if claimed.tries >= self.policy.most_tries:
            return rules.given_up(claimed)
        disabling = rules.disabling(claimed, await self.outbox.deliveries(claimed.event.batch_id))
        if disabling is not None:
            return rules.disabled(claimed, disabling)
        began_at = self.clock.now()
        answer = await self.sender.send(claimed.event, now=began_at)
        return rules.after_answer(
            claimed, answer, began_at=began_at, now=self.clock.now(), policy=self.policy, luck=self.luck()
        )


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """How many attempts run at once, how many of them to one receiver, and how often to look for what is due."""

    slots: int = 16
    per_receiver: int = 4
    poll_seconds: float = 0.5
    grace_seconds: float = 5.0


@dataclass
class DeliveryLoop:
    """Sends what is due, so many at once that slow receivers hold up nobody but themselves."""

    deliver: DeliverWebhook
    policy: DeliveryPolicy = field(default_factory=DeliveryPolicy)
    _running: dict[asyncio.Task[None], str] = field(default_factory=dict)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """Let `run` start nothing more, and return once what is running has ended or had its time."""
        self._stop.set()

    async def run(self) -> None:
        """Deliver until `stop`. What is cut off then is sent again, once its claim has run out."""
        while not self._stop.is_set():
            try:
                await self._start_due()
            except TransientError as error:
                log.warning("webhooks wait: %s", error.message)
            await self._wait_a_moment()
        if self._running:
            await asyncio.wait(self._running, timeout=self.policy.grace_seconds)
        for task in list(self._running):
            task.cancel()

    async def send(self, deliveries: Iterable[WebhookDelivery]) -> None:
        """Attempt these, whether they are due or not, but for those that somebody else has claimed or changed.

        Raises
        ------
        TransientError
            If the storage fails.
        """
        await self._start(deliveries)
        if self._running:
            await asyncio.wait(self._running)

    async def drain(self, *, until: datetime) -> None:
        """Deliver whatever is due, starting nothing after `until`; return once all that began has ended.

        Raises
        ------
        TransientError
            If the storage fails.
        """
        while await self._start_due_before(until) or self._running:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)

    async def _start_due_before(self, until: datetime) -> int:
        return await self._start_due() if self.deliver.clock.now() < until else 0

    async def _start_due(self) -> int:
        free = self.policy.slots - len(self._running)
        if not free:
            return 0
        due = await self.deliver.outbox.due(now=self.deliver.clock.now(), limit=free, is_wanted=self._asks_for_room())
        return await self._start(due)

    def _asks_for_room(self) -> Callable[[str], bool]:
        """Give a question that is answered with yes as often as a receiver has room for one more attempt."""
        taken = Counter(self._running.values())

        def has_room(url: str) -> bool:
            receiver = receiver_of(url)
            taken[receiver] += 1
            return taken[receiver] <= self.policy.per_receiver

        return has_room

    async def _start(self, due: Iterable[WebhookDelivery]) -> int:
        """Claim all at once, which is one commit, and begin with those that nobody else has claimed."""
        claims = await asyncio.gather(*map(self.deliver.claim, due), return_exceptions=True)
        claimed = [claim for claim in claims if isinstance(claim, WebhookDelivery)]
        for claim in claimed:
            task = asyncio.create_task(self._attempt(claim))
            self._running[task] = receiver_of(claim.webhook_url)
            task.add_done_callback(self._running.pop)
        for error in claims:
            if isinstance(error, BaseException):
                raise error
        return len(claimed)

    async def _attempt(self, claimed: WebhookDelivery) -> None:
        """Attempt a delivery; after an error its claim runs out, and it is sent again."""
        try:
            await self.deliver.attempt(claimed)
        except SyncError as error:
            log.warning("not recorded: %s", error.message, extra={"event_id": claimed.event.event_id})
        except Exception:
            log.exception("a bug while sending", extra={"event_id": claimed.event.event_id})

    async def _wait_a_moment(self) -> None:
        """Wait until an attempt has ended, or it is time to look again, or to stop."""
        waking = [
            asyncio.create_task(self.deliver.clock.sleep(self.policy.poll_seconds)),
            asyncio.create_task(self._stop.wait()),
        ]
        try:
            await asyncio.wait([*self._running, *waking], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waking:
                task.cancel()


def _log(delivery: WebhookDelivery) -> None:
    """Say what became of an attempt; not whole addresses, which may carry passwords of the receiver's."""
    fields = {
        "event_id": delivery.event.event_id,
        "batch_id": delivery.event.batch_id,
        "receiver": receiver_of(delivery.webhook_url),
        "attempt": delivery.tries,
    }
    if delivery.status is DeliveryStatus.DELIVERED:
        log.info("webhook delivered", extra=fields)
    elif delivery.status in _ENDED_BADLY:
        log.error("webhook %s: %s", delivery.status.replace("_", " "), delivery.reason, extra=fields)
    else:
        log.info("webhook failed: %s", delivery.attempts[-1].error, extra=fields)
