"""Where each thing is in the table.

======================  =======================  =========================================================
pk                      sk                       row
======================  =======================  =========================================================
BATCH#<id>              META                     the batch with its counters; written last by `create`
BATCH#<id>              EVENT#<n>#<type>         an event, with where its delivery is; a batch has each type once
BATCH#<id>#<n // 1000>  ITEM#<n, zero-padded>    an item; a thousand share a partition, so none gets too hot
ANALYSIS#<id>           ANALYSIS                 pointer to the item that has this analysis id
WORKERS                 <worker id>              a living worker
KEY#<hash>              KEY                      an idempotency key
======================  =======================  =========================================================

Sparse indexes, both of keys only, so that counters and progress do not rewrite them:
`batches_by_time` (`listed`, `listed_at`) holds META rows but those of single batches;
`items_due` (`due`, `due_at`) holds the items that are in flight, and apart from them the events that are to be sent.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from sync_core.domain.batch import EventType

ITEMS_PER_PARTITION = 1000
LISTED = "BATCHES"
DUE = "DUE"
WEBHOOKS_DUE = "WEBHOOKS"
WORKERS = "WORKERS"
EVENT_PREFIX = "EVENT#"


class Key(NamedTuple):
    """Primary key of a row."""

    pk: str
    sk: str


def meta_key(batch_id: str) -> Key:
    return Key(f"BATCH#{batch_id}", "META")


def event_key(batch_id: str, event_type: EventType) -> Key:
    """Give the key of an event, numbered as they happen: a batch starts first, and then ends in one way."""
    number = 1 if event_type is EventType.BATCH_STARTED else 2
    return Key(f"BATCH#{batch_id}", f"{EVENT_PREFIX}{number}#{event_type}")


def item_key(batch_id: str, index: int) -> Key:
    return Key(item_partition(batch_id, index // ITEMS_PER_PARTITION), item_sort(index))


def item_partition(batch_id: str, partition: int) -> str:
    return f"BATCH#{batch_id}#{partition}"


def item_sort(index: int) -> str:
    return f"ITEM#{index:08d}"


def item_of_key(key: Key) -> tuple[str, int]:
    """Give the batch id and index of an item's key."""
    return key.pk.split("#")[1], int(key.sk.removeprefix("ITEM#"))


def analysis_key(analysis_id: str) -> Key:
    return Key(f"ANALYSIS#{analysis_id}", "ANALYSIS")


def worker_key(worker_id: str) -> Key:
    return Key(WORKERS, worker_id)


def idempotency_key(key: str) -> Key:
    """Hash the key: callers choose its length, and DynamoDB limits that of a partition key."""
    return Key(f"KEY#{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}", "KEY")


def listed_at(created_at_micros: int, batch_id: str) -> str:
    """Give the sort key of the list by time; the id tells batches of one moment apart."""
    return f"{created_at_micros:020d}#{batch_id}"
