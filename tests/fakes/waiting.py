"""Wait for something, with an end."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable


async def until(condition: Callable[[], object], *, within_seconds: float = 30.0) -> None:
    """Look until `condition`, which may be asynchronous, is true."""
    async with asyncio.timeout(within_seconds):
        while True:
            outcome = condition()
            if inspect.isawaitable(outcome):
                outcome = await outcome
            if outcome:
                return
            await asyncio.sleep(0.003)
