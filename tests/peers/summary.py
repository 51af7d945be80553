"""What many outcomes come to: hits, false matches, and whether a score tells the one from the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.peers.accuracy import Outcome

WITHIN_SECONDS = (0.001, 0.010, 0.040)
HIT_SECONDS = WITHIN_SECONDS[-1]


def matching(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.match]


def unmatched(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if not outcome.match]


def hits(outcomes: Sequence[Outcome], within_seconds: float = HIT_SECONDS) -> list[Outcome]:
    return [o for o in outcomes if o.error_seconds is not None and o.error_seconds <= within_seconds]


@dataclass(frozen=True, slots=True)
class Separation:
    """Scores of hits against those of offsets given for pairs that don't match.

    Attributes
    ----------
    hits, false
        Least and largest score.
    ranked_right
        Share of (hit, false match) pairs in which the hit has the higher score; a half is chance.
    kept
        Share of the hits that a threshold keeps which is just high enough to refuse every false match seen here.
    """

    hits: tuple[float, float]
    false: tuple[float, float]
    ranked_right: float
    kept: float


def separation(outcomes: Sequence[Outcome]) -> Separation | None:
    """Compare the scores; None without scores, without hits or without false matches."""
    good = [o.score for o in hits(outcomes) if o.score is not None]
    bad = [o.score for o in unmatched(outcomes) if o.answered and o.score is not None]
    if not good or not bad:
        return None
    wins = sum((one > other) + 0.5 * (one == other) for one in good for other in bad)
    return Separation(
        (min(good), max(good)),
        (min(bad), max(bad)),
        wins / (len(good) * len(bad)),
        sum(score > max(bad) for score in good) / len(good),
    )
