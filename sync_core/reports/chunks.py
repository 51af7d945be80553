"""Gather many small texts into few pieces of a size that is worth sending."""

from __future__ import annotations

from collections.abc import AsyncIterator

_CHUNK_CHARACTERS = 64 * 1024


async def chunked(parts: AsyncIterator[str]) -> AsyncIterator[bytes]:
    """Join texts, in order, into pieces of about 64 kB, encoded as UTF-8; never more is held than one piece."""
    waiting: list[str] = []
    size = 0
    async for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= _CHUNK_CHARACTERS:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    if waiting:
        yield "".join(waiting).encode()
