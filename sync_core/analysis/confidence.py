"""How probable it is that an offset is right, from what was measured."""

from __future__ import annotations

import math

CONFIRMED_SCORE = 9.0
"""Unrelated pairs stay below 6 standard deviations over all the candidates that are looked at."""

_EVEN_SCORE = 9.5
_SCORE_SCALE = 1.2


def of_score(score: float, runner_up: float = 0.0) -> float:
    """Probability that the offset is within one frame of the truth.

    Parameters
    ----------
    score
        Height of the waveforms' correlation on the line, in standard deviations.
    runner_up
        The same for the best other place. Where both are high they share the probability.
    """
    alone = 1.0 / (1.0 + math.exp(-min(max((score - _EVEN_SCORE) / _SCORE_SCALE, -30.0), 30.0)))
    rival = max(runner_up, 0.0) / max(score, 1e-9)
    shared = 1.0 - 0.5 * min(rival, 1.0) ** 8
    return round(min(alone * shared, 0.999), 4)
