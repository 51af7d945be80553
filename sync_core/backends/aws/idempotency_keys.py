"""Idempotency keys in the table: the conditional write is the lock, and what it finds is the answer."""

from __future__ import annotations

from datetime import datetime, timedelta

from sync_core.backends.aws.expiry import expiry
from sync_core.backends.aws.keys import idempotency_key
from sync_core.backends.aws.table import ConditionFailed, Put, Table
from sync_core.backends.aws.wire import all_of
from sync_core.domain.errors import IdempotencyConflict, StorageUnavailable
from sync_core.domain.micros import to_micros


class AwsIdempotencyKeys:
    """The IdempotencyKeys port on the table; keys are kept for `retention`, as batches are."""

    def __init__(self, table: Table, *, retention: timedelta) -> None:
        self._table = table
        self._retention = retention

    async def claim(self, key: str, *, fingerprint: str, resource_id: str, now: datetime) -> str:
        row = {
            "fingerprint": fingerprint,
            "resource_id": resource_id,
            "created_at": to_micros(now),
            "expires_at": expiry(now + self._retention),
        }
        try:
            await self._table.write(Put(idempotency_key(key), row, all_of("attribute_not_exists(#pk)")))
        except ConditionFailed as refused:
            bound = refused.rows[0]
        else:
            return resource_id
        if bound is None:
            raise StorageUnavailable("The Idempotency-Key expired this very moment; repeat the request.")
        if bound["fingerprint"] != fingerprint:
            raise IdempotencyConflict("This Idempotency-Key was used with other content before; use a new key.")
        return str(bound["resource_id"])

    async def find(self, key: str) -> str | None:
        row = await self._table.get(idempotency_key(key))
        return str(row["resource_id"]) if row else None
