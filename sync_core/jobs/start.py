"""Start and cancel batches."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sync_core.domain.batch import Batch, BatchStatus, StartOptions
from sync_core.domain.errors import WrongState
from sync_core.jobs.ports.batch_store import BatchStore
from sync_core.jobs.ports.clock import Clock
from sync_core.jobs.ports.idempotency_keys import IdempotencyKeys
from sync_core.jobs.ports.work_queue import Message, WorkQueue

_STARTED, _REFUSED = "started", "refused"


def messages_for(batch: Batch, claimed: Sequence[int], *, trace: str | None = None) -> list[Message]:
    """Make the messages that dispatch the claimed items of a batch."""
    return [Message(batch.batch_id, index, batch.priority, trace) for index in claimed]


def _no_trace() -> None:
    """Name no request."""


@dataclass(frozen=True, slots=True)
class StartBatch:
    """Use case: move a batch to processing and dispatch its first window.

    A crash between the two is healed by the sweeper, which sends claimed but unleased items again.
    """

    store: BatchStore
    queue: WorkQueue
    keys: IdempotencyKeys
    clock: Clock
    current_trace: Callable[[], str | None] = _no_trace

    async def start(
        self,
        batch_id: str,
        options: StartOptions,
        *,
        idempotency_key: str | None = None,
        fingerprint: str = "",
        repeatable: bool = False,
    ) -> Batch:
        """Start the batch; with an idempotency key, or where `repeatable`, a repeated start is no error.

        Raises
        ------
        NotFound
            If there is no such batch.
        WrongState
            If it was started or cancelled before.
        IdempotencyConflict
            If the key came with other content before.
        """
        repeated = repeatable or await self._is_repeated(batch_id, idempotency_key, fingerprint)
        try:
            change = await self.store.start(batch_id, options, self.clock.now())
        except WrongState:
            batch = await self.store.get(batch_id)
            answer = _STARTED if repeated and batch.started_at is not None else _REFUSED
            if await self._answer_given(batch_id, idempotency_key, fingerprint, answer) == _REFUSED:
                raise
            return batch
        await self.queue.send(messages_for(change.batch, change.claimed, trace=self.current_trace()))
        return change.batch

    async def _is_repeated(self, batch_id: str, key: str | None, fingerprint: str) -> bool:
        """Tell whether a request with this key came before, while the batch could still be started."""
        if not key:
            return False
        batch = await self.store.get(batch_id)
        mine = f"{batch.status}@{secrets.token_hex(8)}"
        bound = await self.keys.claim(
            f"start/{batch_id}/{key}", fingerprint=fingerprint, resource_id=mine, now=self.clock.now()
        )
        return bound != mine and bound.startswith(f"{BatchStatus.UPLOADED}@")

    async def _answer_given(self, batch_id: str, key: str | None, fingerprint: str, answer: str) -> str:
        """Give the answer that this key's first request got, or else this one's.

        A request may have come while the batch could be started and been refused all the same, because another one
        without a key was faster; its repetition is refused as well.
        """
        if not key:
            return answer
        name = f"start/{batch_id}/{key}/answer"
        return await self.keys.claim(name, fingerprint=fingerprint, resource_id=answer, now=self.clock.now())


@dataclass(frozen=True, slots=True)
class CancelBatch:
    """Use case: cancel a batch at once; what runs stops within one heartbeat."""

    store: BatchStore
    clock: Clock

    async def cancel(self, batch_id: str) -> Batch:
        """Cancel, or leave a cancelled batch as it is.

        Raises
        ------
        NotFound
            If there is no such batch.
        WrongState
            If it has completed or failed.
        """
        return (await self.store.cancel(batch_id, self.clock.now())).batch
