"""Reports: one immutable document per finished item."""

from __future__ import annotations

from typing import Protocol


class ReportStore(Protocol):
    async def put(self, key: str, content: bytes) -> None:
        """Store a document under a key; it is there wholly and durably, or not at all."""
        ...

    async def get(self, key: str) -> bytes:
        """Read a document.

        Raises
        ------
        NotFound
        """
        ...

    async def discard(self, prefix: str, *, keep: str | None) -> None:
        """Remove all documents under a prefix but one: what attempts left that crashed before their end was stored."""
        ...
