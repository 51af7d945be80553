"""The drop folder in the cloud: a Lambda function that S3 tells, through a queue, of what has come under `drop/`.

A message whose objects could not all be taken comes again by itself, and ends among the dead letters if that does not
help; the others of the same delivery are done. The same event may also be handed over by hand, as S3 writes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from handlers.backends import open_aws
from handlers.drop_use_cases import build_take_drop
from handlers.logs import set_up_logging
from handlers.metrics import DROPS, EmfWriter
from handlers.settings import DropFolderSettings, read_settings
from sync_core.backends.aws.s3_events import Arrival, arrivals_in, arrivals_of
from sync_core.domain.errors import SyncError
from sync_core.jobs.drop import TakeDrop, Taken
from sync_core.jobs.ports.clock import SystemClock

log = logging.getLogger(__name__)

_metrics = EmfWriter("drop_folder")

Event = Mapping[str, Any]
Answer = dict[str, list[dict[str, str]]]


def handler(event: Event, _context: object) -> Answer:
    """Take what has come; the answer names the messages of the queue that must come again."""
    settings = read_settings(DropFolderSettings)
    set_up_logging(settings.log_level, settings.log_format)
    answer = asyncio.run(_handle(event, settings))
    if settings.metrics_format == "emf":
        _metrics.write()
    return answer


async def _handle(event: Event, settings: DropFolderSettings) -> Answer:
    backend, bucket = open_aws(settings), str(settings.aws_bucket)
    taking = build_take_drop(settings, backend, backend.drop_store, SystemClock())
    try:
        messages = [record for record in event.get("Records", ()) if "body" in record]
        if not messages:
            await _take_all(taking, arrivals_of(event, bucket))
            return {"batchItemFailures": []}
        failed = [message["messageId"] for message in messages if not await _has_taken(taking, message, bucket)]
        return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in failed]}
    finally:
        await backend.close()


async def _has_taken(taking: TakeDrop, message: Event, bucket: str) -> bool:
    """Tell whether all that a message tells of was taken."""
    try:
        await _take_all(taking, arrivals_in(message["body"], bucket))
    except SyncError as error:
        log.warning("this message comes again: %s", error.message, extra={"message_id": message["messageId"]})
        return False
    except Exception:
        log.exception("a bug; this message comes again", extra={"message_id": message["messageId"]})
        return False
    return True


async def _take_all(taking: TakeDrop, arrivals: Iterable[Arrival]) -> None:
    """Take each object, and raise the first trouble once all have had their turn."""
    outcomes = await asyncio.gather(
        *(taking.take(arrival.key, arrival.version) for arrival in arrivals), return_exceptions=True
    )
    for outcome in outcomes:
        if isinstance(outcome, Taken):
            DROPS.labels(outcome.outcome.value).inc()
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
