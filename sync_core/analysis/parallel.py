"""Use two cores for work that numpy does without holding the interpreter's lock."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_CORES = 2
_AHEAD = 2
_here = threading.local()


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_CORES, thread_name_prefix="analysis", initializer=_mark)


def _mark() -> None:
    _here.is_worker = True


def on_two_cores(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Do independent pieces of work on two threads, and give their results in order.

    At most three pieces are begun ahead of the caller, so that memory stays flat and a caller who stops (by an error of
    its own) leaves little to be finished. Within a piece of work, other work is done on its own thread.
    """
    if getattr(_here, "is_worker", False):
        yield from map(work, items)
        return
    running: deque[Future[_Result]] = deque()
    try:
        for item in items:
            running.append(_pool().submit(work, item))
            if len(running) > _AHEAD:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        for future in running:
            future.cancel()
