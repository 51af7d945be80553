"""The log of webhook deliveries, and replay."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, status

from handlers.api import schemas, views
from handlers.api.dependencies import IdempotencyKey, Services
from sync_core.domain.batch import EventType
from sync_core.domain.errors import batch_not_found
from sync_core.domain.ids import is_batch_id

router = APIRouter(prefix="/api/v1/webhooks/deliveries", tags=["webhooks"])
sent = APIRouter(tags=["webhooks"])
"""What the service sends, for its description alone."""

EventId = Annotated[str, Path(max_length=100, examples=["evt_20250828_140600_a1b2c3d4_completed"])]


@router.get("")
async def list_deliveries(
    services: Services, batch_id: Annotated[schemas.BatchIdText, Query(description="The batch that is told of.")]
) -> schemas.DeliveriesResponse:
    """List the events of a batch that have a receiver, with what became of each attempt to send them."""
    if not is_batch_id(batch_id):
        raise batch_not_found(batch_id)
    deliveries = await services.webhook_log.of_batch(batch_id)
    return schemas.DeliveriesResponse(
        deliveries=[views.delivery(each) for each in deliveries], timestamp=services.clock.now()
    )


@router.get("/{event_id}")
async def get_delivery(services: Services, event_id: EventId) -> schemas.DeliveryResponse:
    """Tell where the delivery of one event is."""
    delivery = await services.webhook_log.find(event_id)
    return schemas.DeliveryResponse(delivery=views.delivery(delivery), timestamp=services.clock.now())


@router.post("/{event_id}/replay", status_code=status.HTTP_202_ACCEPTED)
async def replay(
    services: Services, event_id: EventId, idempotency_key: IdempotencyKey = None
) -> schemas.DeliveryResponse:
    """Send an event again under its id, now and with the whole schedule, whatever became of it before."""
    delivery = await services.webhook_log.replay(event_id, idempotency_key=idempotency_key)
    return schemas.DeliveryResponse(delivery=views.delivery(delivery), timestamp=services.clock.now())


def _describe(_body: schemas.WebhookEvent) -> None:
    """Receive an event: answer 2xx; its signature is checked as Standard Webhooks 1.0 says."""


_ANSWERS: dict[int | str, dict[str, object]] = {
    "2XX": {"description": "The receiver has it."},
    "410": {"description": "The receiver wants no more of this batch."},
    "default": {"description": "The event is sent again later."},
}
for kind in EventType:
    sent.post(
        kind.value,
        summary=kind.value,
        operation_id=f"receive_{kind.name.lower()}",
        status_code=status.HTTP_204_NO_CONTENT,
        responses=_ANSWERS,
    )(_describe)
