"""Turn steps of work into fractions of the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def ignore(progress: float) -> None:
    """Take a progress report and do nothing with it."""


@dataclass(slots=True)
class Stage:
    """A part of the work that ends at a known fraction; its steps move evenly towards it."""

    report: Callable[[float], None]
    begin: float
    end: float
    steps: int
    done: int = 0

    def advance(self, steps: int = 1) -> None:
        """Report that `steps` more are done; what the receiver raises passes through."""
        self.done = min(self.done + steps, self.steps)
        self.report(self.begin + (self.end - self.begin) * self.done / max(self.steps, 1))
