"""Stretches of a recording, from one whole number up to another."""

from __future__ import annotations

from collections.abc import Iterable


def joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Put spans in order, and join those that touch or overlap.

    Examples
    --------
    >>> joined([(0, 5), (4, 9), (20, 30)])
    [(0, 9), (20, 30)]
    """
    out: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], stop))
        else:
            out.append((start, stop))
    return out
