"""Probes that interrupt a process at one of its calls, and look at all invariants after each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.fakes.invariants import Watchman
from tests.fakes.tap import Call


class Crash(BaseException):
    """The process died: nothing that it would have done happens."""


class Observer:
    """Lets every call through, and looks at all invariants after it."""

    def __init__(self, watchman: Watchman) -> None:
        self.watchman = watchman

    async def __call__(self, name: str, call: Call) -> object:
        outcome = await call()
        self.watchman.look()
        return outcome


@dataclass(frozen=True)
class Moment:
    """Before or after the effect of the n-th call of one port method."""

    name: str
    occurrence: int
    after_effect: bool


class Interrupter(Observer):
    """Interrupts its process at one moment of its life; `happened` tells whether it lived as long as that."""

    def __init__(self, watchman: Watchman, moment: Moment) -> None:
        super().__init__(watchman)
        self.moment = moment
        self.made = 0
        self.happened = False

    async def __call__(self, name: str, call: Call) -> object:
        await self.interrupt_if_happened()
        is_the_one = self._is_the_one(name)
        self.happened |= is_the_one and not self.moment.after_effect
        await self.interrupt_if_happened()
        outcome = await super().__call__(name, call)
        self.happened |= is_the_one
        await self.interrupt_if_happened()
        return outcome

    def _is_the_one(self, name: str) -> bool:
        self.made += name == self.moment.name
        return name == self.moment.name and self.made == self.moment.occurrence

    async def interrupt_if_happened(self) -> None:
        raise NotImplementedError


class Killer(Interrupter):
    """Kills the process: from that moment on it gets nothing done."""

    async def interrupt_if_happened(self) -> None:
        if self.happened:
            raise Crash(self.moment)


class Pauser(Interrupter):
    """Stops the process until `resume`."""

    def __init__(self, watchman: Watchman, moment: Moment) -> None:
        super().__init__(watchman, moment)
        self.resume = asyncio.Event()

    async def interrupt_if_happened(self) -> None:
        if self.happened:
            await self.resume.wait()


class Shutdown(Interrupter):
    """Cancels the task that makes the call, once, as a worker does whose grace time is over."""

    cancelled = False

    async def interrupt_if_happened(self) -> None:
        if self.happened and not self.cancelled:
            self.cancelled = True
            asyncio.current_task().cancel()
            await asyncio.sleep(0)
