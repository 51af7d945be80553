"""Arithmetic of byte ranges, and which of them are worth a request of their own. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

REQUEST_COST_BYTES = 64 * 1024
"""What one more request is worth: at 30 ms and a few dozen connections it takes as long as so many bytes."""
_WASTE = 0.01
"""So large a part of what is wanted may be fetched in vain, to save requests."""


class ByteRange(NamedTuple):
    """The bytes from `start` up to, not including, `stop`."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start


def merged(ranges: Iterable[ByteRange], *, gap_bytes: int = 0) -> list[ByteRange]:
    """Put ranges in order, and join those that overlap, touch, or are at most `gap_bytes` apart. Empty ones vanish.

    Examples
    --------
    >>> merged([ByteRange(7, 9), ByteRange(0, 4), ByteRange(2, 5)], gap_bytes=1)
    [ByteRange(start=0, stop=5), ByteRange(start=7, stop=9)]
    """
    joined: list[ByteRange] = []
    for one in sorted(each for each in ranges if each.size > 0):
        if joined and one.start - joined[-1].stop <= gap_bytes:
            joined[-1] = ByteRange(joined[-1].start, max(joined[-1].stop, one.stop))
        else:
            joined.append(one)
    return joined


def total_bytes(ranges: Iterable[ByteRange]) -> int:
    """Sum the sizes."""
    return sum(one.size for one in ranges)


def worth_fetching(wanted: Sequence[ByteRange], *, file_bytes: int) -> list[ByteRange] | None:
    """Choose the ranges to fetch so that all of `wanted` are in them.

    Small gaps are fetched along as long as that wastes at most 1 % of what is wanted. Where the ranges are too small to
    be worth a request each, gaps that cost less than a request are fetched along as well.

    Parameters
    ----------
    wanted
        In order, apart from each other, as `merged` gives them.

    Returns
    -------
    The ranges, in order; None if reading the whole file costs no more.
    """
    chosen = merged(wanted, gap_bytes=_affordable_gap(wanted))
    if total_bytes(chosen) < REQUEST_COST_BYTES * len(chosen):
        chosen = merged(chosen, gap_bytes=REQUEST_COST_BYTES)
    cost = total_bytes(chosen) + REQUEST_COST_BYTES * len(chosen)
    return chosen if cost < file_bytes else None


def _affordable_gap(wanted: Sequence[ByteRange]) -> int:
    """Give the largest gap for which all gaps up to its size together stay within the allowed waste."""
    gaps = Counter(after.start - before.stop for before, after in pairwise(wanted))
    left, affordable = _WASTE * total_bytes(wanted), 0
    for gap, count in sorted(gaps.items()):
        left -= gap * count
        if left < 0:
            break
        affordable = gap
    return affordable


def split(ranges: Iterable[ByteRange], block_bytes: int) -> list[ByteRange]:
    """Cut ranges into blocks of at most that size, in the same order."""
    return [
        ByteRange(at, min(at + block_bytes, one.stop))
        for one in ranges
        for at in range(one.start, one.stop, block_bytes)
    ]


class RangeMap:
    """Finds by position in ranges that are in order and apart from each other."""

    def __init__(self, ranges: Sequence[ByteRange]) -> None:
        self._ranges = ranges
        self._starts = [one.start for one in ranges]

    def at(self, position: int) -> ByteRange | None:
        """Give the range that holds a position."""
        index = bisect_right(self._starts, position) - 1
        found = self._ranges[index] if index >= 0 else None
        return found if found is not None and position < found.stop else None

    def next_start(self, position: int) -> int | None:
        """Give where the first range behind a position starts."""
        index = bisect_right(self._starts, position)
        return self._starts[index] if index < len(self._starts) else None

    def following(self, position: int) -> Iterator[ByteRange]:
        """Give the ranges that start behind a position, in order."""
        for index in range(bisect_right(self._starts, position), len(self._ranges)):
            yield self._ranges[index]
