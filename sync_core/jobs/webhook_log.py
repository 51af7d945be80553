"""Look at the deliveries of a batch's events, and send one again."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sync_core.domain.errors import NotFound
from sync_core.jobs import webhook_rules as rules
from sync_core.jobs.ports.batch_store import BatchStore
from sync_core.jobs.ports.clock import Clock
from sync_core.jobs.ports.event_outbox import EventOutbox, WebhookDelivery, batch_of_event
from sync_core.jobs.ports.idempotency_keys import IdempotencyKeys


@dataclass(frozen=True, slots=True)
class WebhookLog:
    """Use case: the delivery log, and replay."""

    store: BatchStore
    outbox: EventOutbox
    keys: IdempotencyKeys
    clock: Clock

    async def of_batch(self, batch_id: str) -> tuple[WebhookDelivery, ...]:
        """Read the deliveries of a batch, in the order of its events.

        Raises
        ------
        NotFound
            If there is no such batch.
        """
        await self.store.get(batch_id)
        return await self.outbox.deliveries(batch_id)

    async def find(self, event_id: str) -> WebhookDelivery:
        """Read the delivery of one event.

        Raises
        ------
        NotFound
            If there is no such event, or it has no receiver.
        """
        of_batch = await self.outbox.deliveries(batch_of_event(event_id))
        found = next((delivery for delivery in of_batch if delivery.event.event_id == event_id), None)
        if found is None:
            raise NotFound(f"Webhook event {event_id} not found")
        return found

    async def replay(self, event_id: str, *, idempotency_key: str | None = None) -> WebhookDelivery:
        """Have an event sent anew, whatever became of it before; a key that came before does nothing more.

        Raises
        ------
        NotFound
            If there is no such event, or it has no receiver.
        WrongState
            If it is being sent at this moment.
        """
        delivery = await self.find(event_id)
        now = self.clock.now()
        if idempotency_key:
            mine = secrets.token_hex(8)
            scoped = f"replay/{event_id}/{idempotency_key}"
            if await self.keys.claim(scoped, fingerprint=event_id, resource_id=mine, now=now) != mine:
                return delivery
        while (saved := await self.outbox.save(rules.replay(delivery, now=now))) is None:
            delivery = await self.find(event_id)  # somebody else has changed it since: look again
        return saved
