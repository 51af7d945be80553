"""The right to work on one item for a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """Held by one worker on one item until `until`; each write that counts must carry its `fence`.

    The fence grows with each lease of the item, so that a paused worker who comes back late is told apart from the one
    that took over::

        worker A  begin (fence 1) ----- paused ------------------------- finish (fence 1): refused, LeaseLost
        worker B                          begin (fence 2) --- finish (fence 2): saved
    """

    batch_id: str
    item_index: int
    worker_id: str
    fence: int
    until: datetime
