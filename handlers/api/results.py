"""Results of a batch, as JSON or CSV; partial while it runs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from handlers.api import schemas, streams
from handlers.api.accept import prefers_csv
from handlers.api.dependencies import BatchId, Services


class ExportFormat(StrEnum):
    JSON = "json"
    CSV = "csv"


router = APIRouter(prefix="/api/v1/analysis/batch", tags=["results"])


@router.get(
    "/{batch_id}/results",
    response_class=StreamingResponse,
    responses={200: {"model": schemas.ResultsResponse, "content": {"text/csv": {}}}},
)
async def results(
    services: Services,
    batch_id: BatchId,
    export_format: Annotated[ExportFormat | None, Query(description="Goes before the Accept header.")] = None,
    accept: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Give the results of all items in their order."""
    if export_format is ExportFormat.CSV or (export_format is None and prefers_csv(accept)):
        return await streams.csv_table(services, batch_id)
    return await streams.json_document(services, batch_id)
