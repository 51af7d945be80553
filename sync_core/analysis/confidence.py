"""How probable it is that an offset is right, from what was measured.

A logistic model with three inputs, none of which depends on how long the files are. Its coefficients were set by hand
on generated pairs: nearly all of these are told apart without doubt, so that a fit alone leaves the middle open.
`python -m tests.accuracy.refit` fits them on more pairs, and prints them in the form in which they stand here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

CONFIRMED_SCORE: Final = 9.0
"""Unrelated pairs stay below 7 standard deviations over all the candidates that are looked at."""

BIAS: Final = -5.2
OF_LOG_STRENGTH: Final = 2.2
OF_SUPPORT: Final = 3.0
OF_RIVALRY: Final = -7.0

_LOWEST, _HIGHEST = 0.001, 0.999
_WINDOWS_OF_LOOK: Final = 8.0
_EVEN_COHERENCE: Final = 20.0


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
        Coherence at the best other place, as a share of that at the answer; near 1 where several fit equally.
    """

    strength: float
    support: float
    rivalry: float


def probability(evidence: Evidence) -> float:
    """Probability that the offset is within one frame of the truth, 0.001 to 0.999.

    Examples
    --------
    >>> probability(Evidence(strength=100.0, support=1.0, rivalry=0.1)) > 0.99
    True
    >>> probability(Evidence(strength=20.0, support=0.7, rivalry=1.0)) < 0.1
    True
    """
    logit = (
        BIAS
        + OF_LOG_STRENGTH * math.log(max(evidence.strength, 0.1))
        + OF_SUPPORT * min(evidence.support, 1.0)
        + OF_RIVALRY * min(evidence.rivalry, 1.0)
    )
    return round(min(max(1.0 / (1.0 + math.exp(-logit)), _LOWEST), _HIGHEST), 4)


def of_candidate(coherence: float, rivalry: float) -> float:
    """Probability of a candidate that was looked at but not fitted."""
    return probability(Evidence(coherence / _WINDOWS_OF_LOOK, coherence / (coherence + _EVEN_COHERENCE), rivalry))
