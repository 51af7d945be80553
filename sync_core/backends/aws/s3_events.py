"""What S3 tells of objects that have come: at least once, in no order, with keys as in an address of the web."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from sync_core.backends.aws.drop_store import version_named
from sync_core.domain.errors import InputError

log = logging.getLogger(__name__)

Event = Mapping[str, Any]


class NotAnEvent(InputError):
    """A message that is no event of S3."""

    code = "NOT_AN_EVENT"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One version of an object that has come; None where the event names no version."""

    key: str
    version: str | None


def arrivals_in(text: str, bucket: str) -> tuple[Arrival, ...]:
    """Read a message of a queue that S3 writes to.

    Raises
    ------
    NotAnEvent
        If it is none of S3's.
    """
    try:
        event = json.loads(text)
    except ValueError:
        raise NotAnEvent(f"This message is no JSON: {text[:200]!r}") from None
    return arrivals_of(event, bucket)


def arrivals_of(event: Event, bucket: str) -> tuple[Arrival, ...]:
    """Give the objects that have come to a bucket, each version once and in the event's order.

    Test events, removals and objects of other buckets are none.

    Raises
    ------
    NotAnEvent
        If it is no event of S3.
    """
    try:
        if event.get("Event") == "s3:TestEvent":
            return ()
        return tuple(dict.fromkeys(_arrivals(event["Records"], bucket)))
    except (AttributeError, KeyError, TypeError):
        raise NotAnEvent(f"This is no event of S3: {str(event)[:200]!r}") from None


def _arrivals(records: list[Event], bucket: str) -> Iterator[Arrival]:
    for record in records:
        if not record["eventName"].removeprefix("s3:").startswith("ObjectCreated:"):
            continue
        s3 = record["s3"]
        if s3["bucket"]["name"] != bucket:
            log.warning("passed over an event of another bucket, %s", s3["bucket"]["name"])
            continue
        named = s3["object"]
        yield Arrival(unquote_plus(named["key"]), version_named(named.get("versionId"), named.get("eTag")))
