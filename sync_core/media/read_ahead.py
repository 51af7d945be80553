"""Blocks of a remote file, fetched by several threads ahead of their reader, within a bound of memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Final

from sync_core.media.interrupted import Interrupted
from sync_core.media.origin import CONNECTIONS
from sync_core.media.ranges import ByteRange, total_bytes

BUDGET_BYTES: Final = 16 * 1024 * 1024
_PLANS_PER_BUDGET = 16
"""What to fetch next is thought about anew whenever so small a part of the budget has been read."""
_TICK_SECONDS = 0.5
"""How often a waiting reader looks whether anybody still waits for it."""


class ReadAhead:
    """Keeps the next blocks coming. One thread reads; `fetch` is called on others.

    Parameters
    ----------
    fetch
        Gives the bytes of a block; what it raises is raised to the reader once that one comes to the block.
    is_over
        Tells whether nobody waits for the reader any more.
    """

    def __init__(
        self,
        fetch: Callable[[ByteRange], bytearray],
        *,
        is_over: Callable[[], bool] = lambda: False,
        budget_bytes: int = BUDGET_BYTES,
        threads: int = CONNECTIONS,
    ) -> None:
        self._fetch = fetch
        self._is_over = is_over
        self._budget_bytes = budget_bytes
        self._most_threads = threads
        self._lock = threading.RLock()
        self._arrived = threading.Condition(self._lock)
        self._queued = threading.Condition(self._lock)
        self._queue: deque[ByteRange] = deque()
        self._running: set[ByteRange] = set()
        self._held: dict[ByteRange, bytearray | BaseException] = {}
        self._held_bytes = 0
        self._consumed_bytes = 0
        self._awaited: ByteRange | None = None
        self._idle_threads = 0
        self._threads = 0
        self._closed = False

    def start(self, upcoming: Iterable[ByteRange]) -> None:
        """Fetch what will be asked for, as far as there is room."""
        with self._lock:
            self._plan(upcoming)

    def get(self, first: ByteRange, upcoming: Iterable[ByteRange]) -> bytearray:
        """Wait for a block, while as many of the upcoming ones are fetched as there is room for.

        What else was held or waited for is given up where its room is needed.

        Raises
        ------
        Interrupted
            If nobody waits any more.
        """
        with self._lock:
            self._consumed_bytes += first.size
            if first not in self._held or self._consumed_bytes >= self._budget_bytes // _PLANS_PER_BUDGET:
                self._plan(chain((first,), upcoming))
            self._awaited = first
            while (block := self._held.get(first)) is None:
                if self._is_over() or self._closed:
                    raise Interrupted
                self._arrived.wait(_TICK_SECONDS)
        if isinstance(block, BaseException):
            raise block
        return block

    def covering(self, position: int) -> ByteRange | None:
        """Give a block that is held or being fetched and holds a position."""
        with self._lock:
            known = (*self._held, *self._running)
            return next((block for block in known if block.start <= position < block.stop), None)

    def close(self) -> None:
        """Let the threads end, each once its request does; nobody waits for them."""
        with self._lock:
            self._closed = True
            self._queue.clear()
            self._held.clear()
            self._arrived.notify_all()
            self._queued.notify_all()

    def _plan(self, upcoming: Iterable[ByteRange]) -> None:
        self._consumed_bytes = 0
        wanted: list[ByteRange] = []
        room = self._budget_bytes
        for block in upcoming:
            room -= block.size
            if wanted and room < 0:
                break
            wanted.append(block)
        missing = [block for block in wanted if block not in self._held]
        self._forget(self._held_bytes + total_bytes(missing) - self._budget_bytes, keep=set(wanted))
        self._queue = deque(block for block in missing if block not in self._running)
        self._start_threads()
        self._queued.notify(len(self._queue))

    def _forget(self, excess_bytes: int, *, keep: set[ByteRange]) -> None:
        """Drop so much of what nobody wants now, the oldest first."""
        if excess_bytes <= 0:
            return
        for block in [one for one in self._held if one not in keep]:
            excess_bytes -= block.size
            self._held_bytes -= block.size
            del self._held[block]
            if excess_bytes <= 0:
                return

    def _start_threads(self) -> None:
        missing = min(len(self._queue) - self._idle_threads, self._most_threads - self._threads)
        for _ in range(missing):
            self._threads += 1
            threading.Thread(target=self._work, name="read-ahead", daemon=True).start()

    def _work(self) -> None:
        while (block := self._next()) is not None:
            outcome: bytearray | BaseException
            try:
                outcome = self._fetch(block)
            except BaseException as error:  # noqa: BLE001 - it is the reader's
                outcome = error
            with self._lock:
                self._running.discard(block)
                if not self._closed:
                    self._held[block] = outcome
                    self._held_bytes += block.size
                if block == self._awaited:
                    self._arrived.notify()

    def _next(self) -> ByteRange | None:
        """Wait for a block to fetch; None at the end."""
        with self._lock:
            self._idle_threads += 1
            while not self._queue and not self._closed:
                self._queued.wait()
            self._idle_threads -= 1
            if self._closed:
                return None
            block = self._queue.popleft()
            self._running.add(block)
            return block
