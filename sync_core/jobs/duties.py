"""What a long-lived process does again and again beside its main work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from sync_core.jobs.ports.clock import Clock

log = logging.getLogger(__name__)

Duty = Callable[[], Awaitable[None]]
"""One round; it waits itself until the next one is due."""


@asynccontextmanager
async def repeated(*duties: Duty, clock: Clock, pause_after_error_seconds: float) -> AsyncIterator[None]:
    """Repeat duties while the block lasts; an error in one round does not end the rounds after it."""
    tasks = [asyncio.create_task(_for_ever(duty, clock, pause_after_error_seconds)) for duty in duties]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _for_ever(duty: Duty, clock: Clock, pause_after_error_seconds: float) -> None:
    while True:
        try:
            await duty()
        except Exception:
            log.exception("a background duty failed and will be tried again")
            await clock.sleep(pause_after_error_seconds)
