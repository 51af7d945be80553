"""A clock whose sleep moves time on."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

_IDLE_TICKS = 4


class FakeClock:
    """Virtual time: when everybody sleeps, it jumps to the first who wakes.

    Time stands still while a call that was wrapped by `stopped_during` runs, so that work in other threads takes no
    time at all.
    """

    def __init__(self) -> None:
        self._now = datetime(2025, 8, 28, 14, 6, tzinfo=UTC)
        self._wakings: list[datetime] = []
        self._at_work = 0

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        until = self._now + timedelta(seconds=seconds)
        heapq.heappush(self._wakings, until)
        try:
            await self._wait_for(until)
        finally:
            self._wakings.remove(until)
            heapq.heapify(self._wakings)

    async def _wait_for(self, until: datetime) -> None:
        idle = 0
        while self._now < until:
            await asyncio.sleep(0.0002 if self._at_work else 0)
            idle = 0 if self._at_work else idle + 1
            if idle >= _IDLE_TICKS and self._wakings[0] == until:
                self._now = max(self._now, until)

    def stopped_during(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @wraps(call)
        async def stopped(*args: Any, **kwargs: Any) -> Any:
            self._at_work += 1
            try:
                return await call(*args, **kwargs)
            finally:
                self._at_work -= 1

        return stopped


class SleeplessClock:
    """The clock of a worker that never wakes: its heartbeats stay out, while time goes on for all others."""

    def __init__(self, clock: FakeClock) -> None:
        self.now = clock.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


class SkewedClock:
    """A clock that goes some seconds before the others."""

    def __init__(self, clock: FakeClock, *, ahead_seconds: float) -> None:
        self._clock, self._ahead = clock, timedelta(seconds=ahead_seconds)
        self.sleep = clock.sleep

    def now(self) -> datetime:
        return self._clock.now() + self._ahead
