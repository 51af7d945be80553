"""Transform lengths at which a block of the dub and its counterpart in the master can be compared bin by bin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_LARGEST_FACTOR = 13
_LONGEST_SHARE = 1.25
_COST_OF_FACTOR = 0.8
"""What a factor p of a length adds to a transform's cost, as a power of p: about what numpy takes."""
_LARGEST_ERROR_SAMPLES = 0.25


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths in samples. Bin k counts k cycles on both sides: `master / dub` is the slope of a line.

    Attributes
    ----------
    block, counterpart
        How many samples of the dub and of the master are looked at.
    dub, master
        To which lengths they are filled up with zeros.
    """

    block: int
    counterpart: int
    dub: int
    master: int


@lru_cache(maxsize=256)
def choose(block: int, slope: float) -> Lengths:
    """Find lengths whose ratio is the slope, to a fraction of a sample in a block, and that are fast to transform.

    A counterpart's own length often has a large prime factor (4,267 samples for 4,096 at 25/24), which takes eight
    times as long.

    Examples
    --------
    >>> choose(4096, 25 / 24)
    Lengths(block=4096, counterpart=4267, dub=4200, master=4375)
    >>> choose(4096, 1.0)
    Lengths(block=4096, counterpart=4096, dub=4096, master=4096)
    """
    counterpart = round(block * slope)
    dubs = _smooth(block, round(block * _LONGEST_SHARE))
    masters = _smooth(counterpart, round(block * _LONGEST_SHARE * slope) + 1)
    ratios = masters[None, :] / dubs[:, None]
    some = np.argwhere(np.abs(ratios - slope) * block <= _LARGEST_ERROR_SAMPLES)
    pairs = [(block, counterpart), *((int(dubs[k]), int(masters[j])) for k, j in some)]
    dub, master = min(pairs, key=lambda pair: _cost(pair[0]) + _cost(pair[1]))
    return Lengths(block, counterpart, dub, master)


def _smooth(least: int, most: int) -> NDArray[np.int64]:
    return np.array([length for length in range(least, most + 1) if max(_factors(length)) <= _LARGEST_FACTOR])


def _cost(length: int) -> float:
    return length * sum(math.pow(factor, _COST_OF_FACTOR) for factor in _factors(length))


@lru_cache(maxsize=8192)
def _factors(length: int) -> tuple[int, ...]:
    """Factors by which a transform divides a length: fours, then primes."""
    found: list[int] = []
    while length % 4 == 0:
        found.append(4)
        length //= 4
    divisor = 2
    while divisor * divisor <= length:
        while length % divisor == 0:
            found.append(divisor)
            length //= divisor
        divisor += 1
    return (*found, length) if length > 1 else tuple(found)
