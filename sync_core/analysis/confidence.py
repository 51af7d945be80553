"""How probable it is that an offset is right, from what was measured.

A logistic model with three inputs, none of which depends on how long the files are. `python -m tests.accuracy.refit`
fitted its coefficients on the answers to generated pairs that lie beside it in observations.csv, and prints them in the
form in which they stand here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

CONFIRMED_SCORE: Final = 9.0
"""Unrelated pairs stay below 7 standard deviations over all the candidates that are looked at."""

BIAS: Final = -4.23
OF_LOG_STRENGTH: Final = 2.19
OF_SUPPORT: Final = 1.60
OF_RIVALRY: Final = -29.20

_LOWEST, _HIGHEST = 0.001, 0.999
_WINDOWS_OF_LOOK: Final = 8.0
_EVEN_COHERENCE: Final = 20.0
_HARMLESS_RIVALRY: Final = 0.5


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for an answer.

    Attributes
    ----------
    strength
        Height of the correlation on the line for an average window of some seconds, in standard deviations.
    support
        Share of the dub's windows, of those that have sound and a counterpart, that stand on the line by themselves.
    rivalry
        Height of the best other place, as a share of the answer's; near 1 where several fit equally.
    offset_seconds
        The answer itself, whether it was given or refused.
    """

    strength: float
    support: float
    rivalry: float
    offset_seconds: float = math.nan


def inputs(evidence: Evidence) -> tuple[float, float, float, float]:
    """Return what the coefficients are multiplied by, in their order.

    A rival counts from half the answer's height on; below, it is what any two places of a programme have in common.
    """
    rivalry = min(max(evidence.rivalry - _HARMLESS_RIVALRY, 0.0), 1.0 - _HARMLESS_RIVALRY)
    return 1.0, math.log(max(evidence.strength, 0.1)), min(evidence.support, 1.0), rivalry


def probability(evidence: Evidence) -> float:
    """Probability that the offset is within one frame of the truth, 0.001 to 0.999.

    Examples
    --------
    >>> probability(Evidence(strength=100.0, support=1.0, rivalry=0.1)) > 0.99
    True
    >>> probability(Evidence(strength=15.0, support=0.7, rivalry=1.0)) < 0.2
    True
    """
    coefficients = (BIAS, OF_LOG_STRENGTH, OF_SUPPORT, OF_RIVALRY)
    logit = sum(coefficient * value for coefficient, value in zip(coefficients, inputs(evidence), strict=True))
    return round(min(max(1.0 / (1.0 + math.exp(-logit)), _LOWEST), _HIGHEST), 4)


def of_candidate(coherence: float, rivalry: float) -> float:
    """Probability of a candidate that was looked at but not fitted."""
    return probability(Evidence(coherence / _WINDOWS_OF_LOOK, coherence / (coherence + _EVEN_COHERENCE), rivalry))
