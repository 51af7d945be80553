"""Metrics of the service, for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Response

from handlers import metrics
from handlers.api.dependencies import Services

router = APIRouter(tags=["service"])


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def get_metrics(services: Services) -> Response:
    """Give the metrics of this process, and the depth of the queues and the number of workers as they are now."""
    workers = await services.registry.live(now=services.clock.now())
    metrics.note_service(await services.queue.depth(), len(workers))
    return Response(metrics.prometheus_text(), media_type=metrics.CONTENT_TYPE)
