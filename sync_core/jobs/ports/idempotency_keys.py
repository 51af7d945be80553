"""Idempotency keys: the same key and content means the same resource, also for requests at the same time."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class IdempotencyKeys(Protocol):
    async def claim(self, key: str, *, fingerprint: str, resource_id: str, now: datetime) -> str:
        """Bind a key to a resource id that the caller has minted, or return the one that it is bound to already.

        The operation behind it must be idempotent for a given resource id: after a crash between claim and effect, the
        repeated request gets the same id and does the work then.

        Parameters
        ----------
        key
            Scope and key of the request.
        fingerprint
            Hash of the parsed fields and file bytes.

        Raises
        ------
        IdempotencyConflict
            If the key is bound to other content.
        """
        ...

    async def find(self, key: str) -> str | None:
        """Give the resource id that a key is bound to, or None."""
        ...
