"""One pair: analyse it, and look at it."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Response, status

from handlers.api import schemas, views
from handlers.api.dependencies import AnalysisId, IdempotencyKey, Services
from handlers.api.services import ApiServices
from sync_core.domain.batch import ItemRequest
from sync_core.domain.errors import InputError
from sync_core.domain.ids import analysis_id_of_single
from sync_core.jobs.submit import BatchOptions

router = APIRouter(prefix="/api/v1/analysis", tags=["pairs"])


@router.post(
    "/sync",
    responses={
        202: {"model": schemas.AnalysisResponse, "description": "Begun; `wait_seconds` was not given."},
        408: {"model": schemas.ErrorResponse, "description": "Not done within `wait_seconds`; it goes on."},
    },
)
async def analyse_pair(
    services: Services, request: schemas.PairRequest, response: Response, idempotency_key: IdempotencyKey = None
) -> schemas.AnalysisResponse:
    """Analyse one pair, and answer with its result if it is there within `wait_seconds`."""
    _check_wait(services, request.wait_seconds)
    webhook_url = await services.webhooks.check(request.notification_webhook)
    options = BatchOptions(request.description, request.priority, webhook_url)
    batch = await services.pair.submit_pair(_item_request(request), options, idempotency_key=idempotency_key)
    analysis_id = analysis_id_of_single(batch.batch_id)
    response.headers["Location"] = views.analysis_url(analysis_id)
    if request.wait_seconds:
        found = await services.wait.until_ended(analysis_id, request.wait_seconds)
    else:
        response.status_code = status.HTTP_202_ACCEPTED
        found = await services.store.find_analysis(analysis_id)
    return views.analysis(analysis_id, *found, services.clock.now())


@router.get("/sync", include_in_schema=False)
async def not_readable() -> None:
    """Refuse what the route of an analysis would take for an id."""
    raise HTTPException(status.HTTP_405_METHOD_NOT_ALLOWED, headers={"Allow": "POST"})


@router.get("/{analysis_id}")
async def get_analysis(services: Services, analysis_id: AnalysisId) -> schemas.AnalysisResponse:
    """Tell where an analysis is, and its result once it is there; also that of an item of a batch."""
    found = await services.store.find_analysis(analysis_id)
    return views.analysis(analysis_id, *found, services.clock.now())


def _check_wait(services: ApiServices, seconds: float | None) -> None:
    if seconds is not None and seconds > services.wait_max_seconds:
        raise InputError(
            f"wait_seconds is {seconds:g}; at most {services.wait_max_seconds:g} can be waited for. "
            "Leave it out, and ask for the analysis until it is done."
        )


def _item_request(request: schemas.PairRequest) -> ItemRequest:
    return ItemRequest(
        master_file=request.master_file,
        dub_file=request.dub_file,
        methods=tuple(request.methods),
        ai_model=request.ai_model,
        description=request.description,
        tags=tuple(request.tags),
        per_channel=request.channels == "per_channel",
    )
