"""Reports of a batch as answers that are written while they are read, so that size takes no memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse

from handlers.api.services import ApiServices
from sync_core.domain.batch import Item
from sync_core.jobs.ports.batch_store import item_stream
from sync_core.reports.results_csv import stream_results_csv
from sync_core.reports.results_document import stream_results_document

_PAGE = 25  # items between two breaths for other requests; at 100, status is late by 10 ms more


async def json_document(services: ApiServices, batch_id: str, *, download: bool = False) -> StreamingResponse:
    """Answer with the results document.

    Raises
    ------
    NotFound
        If there is no such batch.
    """
    batch = await services.store.get(batch_id)
    content = stream_results_document(batch, _items(services, batch_id), services.clock.now())
    headers = _attachment(f"{batch_id}.json") if download else None
    return StreamingResponse(content, media_type="application/json", headers=headers)


async def csv_table(services: ApiServices, batch_id: str) -> StreamingResponse:
    """Answer with the results as a table, for saving.

    Raises
    ------
    NotFound
        If there is no such batch.
    """
    batch = await services.store.get(batch_id)
    content = stream_results_csv(batch, _items(services, batch_id))
    return StreamingResponse(content, media_type="text/csv", headers=_attachment(f"{batch_id}.csv"))


def _items(services: ApiServices, batch_id: str) -> AsyncIterator[Item]:
    return item_stream(services.store, batch_id, page=_PAGE)


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
