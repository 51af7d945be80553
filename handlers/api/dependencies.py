"""What routes ask for: the services, checked ids, the idempotency key, places in a list."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request

from handlers.api.schemas import AnalysisIdText, BatchIdText
from handlers.api.services import ApiServices
from sync_core.domain.errors import InputError, analysis_not_found, batch_not_found
from sync_core.domain.ids import is_analysis_id, is_batch_id

MAX_PAGE = 1_000
_INDEX = re.compile(r"[0-9]{1,9}")


def _services(request: Request) -> ApiServices:
    services: ApiServices = request.app.state.services
    return services


def _batch_id(batch_id: Annotated[BatchIdText, Path()]) -> str:
    if not is_batch_id(batch_id):
        raise batch_not_found(batch_id)
    return batch_id


def _analysis_id(analysis_id: Annotated[AnalysisIdText, Path()]) -> str:
    if not is_analysis_id(analysis_id):
        raise analysis_not_found(analysis_id)
    return analysis_id


def _item_start(cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None) -> int:
    """Read a place in a batch's items; the index of the next one, so that a page stays the same while items end."""
    if cursor is None:
        return 0
    if not _INDEX.fullmatch(cursor):
        raise InputError(f"The cursor {cursor[:40]} is none that this batch's status gave; leave it out to start anew.")
    return int(cursor)


Services = Annotated[ApiServices, Depends(_services)]
BatchId = Annotated[str, Depends(_batch_id)]
AnalysisId = Annotated[str, Depends(_analysis_id)]
ItemStart = Annotated[int, Depends(_item_start)]
PageLimit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="A repeated request with the same key and content is answered again instead of done again.",
    ),
]
