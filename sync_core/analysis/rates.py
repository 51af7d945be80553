"""The speeds that programmes are really played at, and their names."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations

_FRAME_RATES = {
    "23.976": Fraction(24000, 1001),
    "24": Fraction(24),
    "25": Fraction(25),
    "29.97": Fraction(30000, 1001),
    "30": Fraction(30),
}
_ERRORS = 3.0
_FINEST = 2e-7


@dataclass(frozen=True, slots=True)
class NamedRate:
    """A ratio of two frame rates; `ratio` above 1: the dub plays too fast."""

    ratio: float
    label: str


def _label(dub: str, master: str, ratio: Fraction) -> str:
    pull = abs(ratio - 1) < Fraction(2, 1000)
    direction = ("pull-up" if pull else "speed-up") if ratio > 1 else ("pull-down" if pull else "slow-down")
    family = "" if pull else "PAL " if "25" in (dub, master) else "NTSC "
    return f"{dub}/{master} {family}{direction}"


def _named() -> tuple[NamedRate, ...]:
    found: dict[Fraction, NamedRate] = {}
    for dub, master in permutations(_FRAME_RATES, 2):
        ratio = _FRAME_RATES[dub] / _FRAME_RATES[master]
        found.setdefault(ratio, NamedRate(float(ratio), _label(dub, master, ratio)))
    return tuple(sorted(found.values(), key=lambda rate: rate.ratio))


NAMED = _named()
"""All ratios of two different standard frame rates; where two pairs have the same ratio, the one listed first."""

STRETCH_REACH = 0.002
STRETCHES = (25 / 24, 24 / 25, 1.2, 1 / 1.2, 1.25, 1 / 1.25)
"""Speeds at which blocks are compared, besides 1; every named ratio is within 0.2 % of one of them."""


def nearest(ratio: float, within_ppm: float) -> NamedRate | None:
    """Find the named ratio that is nearest, if it is within a distance.

    Examples
    --------
    >>> nearest(1.04271, within_ppm=5).label
    '25/23.976 PAL speed-up'
    >>> nearest(1.02, within_ppm=100) is None
    True
    """
    best = min(NAMED, key=lambda rate: abs(rate.ratio - ratio))
    return best if abs(best.ratio / ratio - 1) * 1e6 <= within_ppm else None


def snapped(ratio: float, error: float) -> float:
    """Take a measured ratio for 1 or for a named one where it cannot be told from it.

    Parameters
    ----------
    error
        Standard error of the ratio.
    """
    within = max(_ERRORS * error, _FINEST)
    named = min((1.0, *(rate.ratio for rate in NAMED)), key=lambda known: abs(known - ratio))
    return named if abs(named - ratio) <= within else ratio
