"""When the message of an item in flight counts as lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sync_core.domain.micros import to_micros


@dataclass(frozen=True, slots=True)
class Overdue:
    """After `first_seconds`, then twice as late with each resend."""

    first_seconds: float = 60.0
    most_seconds: float = 900.0

    def first(self, since: datetime) -> int:
        """Give the time from which on the message is overdue, in microseconds, as back ends store it."""
        return self.after(0, since)

    def after(self, resends: int, since: datetime) -> int:
        wait = min(self.first_seconds * 2 ** min(resends, 20), self.most_seconds)
        return to_micros(since + timedelta(seconds=wait))
