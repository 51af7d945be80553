"""Addresses of objects in S3 for a command that compares files in its own process."""

from __future__ import annotations

import asyncio

from handlers.backends import open_media
from sync_core.domain.media import MediaPolicy, MediaRef
from sync_core.domain.remote_media import Refusal
from sync_core.media.locate import Locate, nowhere


def locating(policy: MediaPolicy) -> Locate:
    """Make what threads that read media ask for addresses; each time in an event loop of its own."""
    return lambda ref, refusal: asyncio.run(_address(policy, ref, refusal))


async def _address(policy: MediaPolicy, ref: MediaRef, refusal: Refusal | None) -> str:
    media = open_media(policy)
    if media is None:
        return nowhere(ref, refusal)
    try:
        return await media.address(ref, refusal)
    finally:
        await media.close()
