"""What there is: the service's health, and the methods that can run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from fastapi import APIRouter
from fastapi.responses import RedirectResponse

from handlers.api import schemas
from handlers.api.dependencies import Services
from sync_core.domain.worker import WorkerInfo
from sync_core.jobs.catalogue import MethodEntry, method_catalogue

router = APIRouter(tags=["service"])


@router.get("/", include_in_schema=False)
async def front_page() -> RedirectResponse:
    return RedirectResponse("/docs")


@router.get("/api/v1/health")
async def health(services: Services) -> schemas.HealthResponse:
    """Tell what is connected and what can run."""
    now = services.clock.now()
    workers = await services.registry.live(now=now)
    depth = await services.queue.depth()
    return schemas.HealthResponse(
        status="healthy" if workers else "degraded",
        reason=None if workers else "No worker is running; batches can be uploaded and started, but wait.",
        version=services.version,
        backend=services.backend,
        methods=[entry.method for entry in method_catalogue(workers) if entry.available],
        workers=_workers(workers),
        queue_depth={priority: schemas.QueueFigures(**asdict(figures)) for priority, figures in depth.items()},
        timestamp=now,
    )


@router.get("/api/v1/analysis/methods")
async def methods(services: Services) -> schemas.MethodsResponse:
    """List the methods, and whether a running worker offers them."""
    now = services.clock.now()
    entries = method_catalogue(await services.registry.live(now=now))
    return schemas.MethodsResponse(methods=[_method(entry) for entry in entries], timestamp=now)


def _workers(workers: Sequence[WorkerInfo]) -> list[schemas.WorkerSummary]:
    return [schemas.WorkerSummary.model_validate(worker, from_attributes=True) for worker in workers]


def _method(entry: MethodEntry) -> schemas.MethodInfo:
    models = [
        schemas.ModelInfo(
            name=model.model,
            label=model.label,
            installed=model.installed,
            devices=list(model.devices),
            reason=model.reason,
        )
        for model in entry.models
    ]
    return schemas.MethodInfo(
        name=entry.method,
        label=entry.label,
        description=entry.description,
        available=entry.available,
        reason=entry.reason,
        models=models,
    )
