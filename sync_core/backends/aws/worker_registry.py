"""Living workers in the table, all in one partition."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timedelta

from sync_core.backends.aws.expiry import expiry
from sync_core.backends.aws.keys import WORKERS, worker_key
from sync_core.backends.aws.table import Put, Table
from sync_core.backends.aws.wire import Expression
from sync_core.domain.methods import Method
from sync_core.domain.micros import to_micros
from sync_core.domain.worker import WorkerInfo


class AwsWorkerRegistry:
    """The WorkerRegistry port on the table. DynamoDB removes expired entries within days; they are not listed."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def announce(self, worker: WorkerInfo, *, ttl_seconds: float) -> None:
        until = worker.seen_at + timedelta(seconds=ttl_seconds)
        row = {"info": _text_of(worker), "live_until": to_micros(until), "expires_at": expiry(until)}
        await self._table.write(Put(worker_key(worker.worker_id), row))

    async def withdraw(self, worker_id: str) -> None:
        await self._table.delete(worker_key(worker_id))

    async def live(self, *, now: datetime) -> tuple[WorkerInfo, ...]:
        rows = await self._table.query(Expression("#pk = :workers", {"workers": WORKERS}))
        return tuple(_worker_of(row["info"]) for row in rows if row["live_until"] > to_micros(now))


def _text_of(worker: WorkerInfo) -> str:
    times = {"started_at": worker.started_at.isoformat(), "seen_at": worker.seen_at.isoformat()}
    return json.dumps({**asdict(worker), **times}, separators=(",", ":"))


def _worker_of(text: str) -> WorkerInfo:
    fields = json.loads(text)
    return WorkerInfo(
        **{
            **fields,
            "methods": tuple(map(Method, fields["methods"])),
            "ai_models": tuple(fields["ai_models"]),
            "started_at": datetime.fromisoformat(fields["started_at"]),
            "seen_at": datetime.fromisoformat(fields["seen_at"]),
        }
    )
