"""Reports as downloads, at the addresses that the results name."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from handlers.api import schemas, streams
from handlers.api.dependencies import BatchId, Services

router = APIRouter(prefix="/api/v1/reports", tags=["reports"])


@router.get("/{batch_id}.json", response_class=StreamingResponse, responses={200: {"model": schemas.ResultsResponse}})
async def json_report(services: Services, batch_id: BatchId) -> StreamingResponse:
    """Download the results document."""
    return await streams.json_document(services, batch_id, download=True)


@router.get("/{batch_id}.csv", response_class=StreamingResponse, responses={200: {"content": {"text/csv": {}}}})
async def csv_report(services: Services, batch_id: BatchId) -> StreamingResponse:
    """Download the results as a table."""
    return await streams.csv_table(services, batch_id)
