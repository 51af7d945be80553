"""Collect candidate offsets from the methods and check each on the waveform."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import coherence, confidence, correlation, mel, ridge
from sync_core.analysis.line import Line
from sync_core.analysis.methods.base import Features
from sync_core.analysis.parallel import on_two_cores
from sync_core.analysis.progress import ignore
from sync_core.analysis.spread import spread
from sync_core.analysis.track import Track
from sync_core.domain.methods import Method

PLAIN_PEAKS, SHARP_PEAKS = 10, 6
GLANCE_BLOCKS, FIRST_LOOK_BLOCKS, SECOND_LOOK_BLOCKS = 48, 192, 960
SECOND_LOOKS = 4

_LONG_SECONDS = 1800.0
"""Where both sides are as long, lags are proposed at half the features' rate, which takes half the time. What is lost
to it counts only where next to nothing of such files meets; the waveforms are looked at 60 ms to each side."""

_SAME_WITHIN_HOPS = 3
_SAME_WITHIN_SAMPLES = 80
_BLOCKS_PER_LOOK_WINDOW = 8
_CHANCE_PEAK = 5.0
_DOUBTFUL_SHARE = 0.2
_CLEAR_GLANCE = 40.0
_LEAST_SEEN = 4.0
_NEAR_HOPS = 2


@dataclass(frozen=True, slots=True)
class Proposal:
    """A lag and how high each method that proposed it scored it."""

    lag_hops: int
    scores: Mapping[Method, float]


@dataclass(frozen=True, slots=True)
class Survey:
    """What the features say about every lag, and the lags that they propose.

    Attributes
    ----------
    plain
        Each method's scores over all lags, as in `correlation.LagScores`.
    sharp : [shape=(n_lags,), float32]
        Sum of the methods' sharp scores.
    first_lag
        Lag of index 0, in steps.
    step_hops
        From one index to the next.
    """

    proposals: Sequence[Proposal]
    plain: Mapping[Method, NDArray[np.float32]]
    sharp: NDArray[np.float32]
    first_lag: int
    step_hops: int

    def seen(self, lag_hops: int) -> dict[Method, float]:
        """Scores of the methods that see more than chance at a lag."""
        index = round(lag_hops / self.step_hops) - self.first_lag
        scores = {method: _highest(values, index) for method, values in self.plain.items()}
        return {method: score for method, score in scores.items() if score >= _LEAST_SEEN}

    def sharpness(self, lag_samples: int) -> float:
        """Return the highest sharp score near a lag."""
        return _highest(self.sharp, round(lag_samples / (self.step_hops * mel.HOP_SAMPLES)) - self.first_lag)


def _highest(values: NDArray[np.float32], index: int) -> float:
    near = values[max(index - _NEAR_HOPS, 0) : max(index + _NEAR_HOPS + 1, 0)]
    return float(near.max(initial=0.0))


@dataclass(frozen=True, slots=True)
class Checked:
    """What the waveforms say near a proposed lag.

    Attributes
    ----------
    lag_samples
        Where their correlation peaks.
    coherence
        Its height in standard deviations.
    distinction
        How far the lag stands out where whatever repeats counts once, to compare it with others by; None where that
        was not asked, since no other lag was coherent.
    """

    lag_samples: int
    scores: Mapping[Method, float]
    coherence: float
    distinction: float | None = None

    @property
    def weight(self) -> float:
        """What candidates of one pair are compared by."""
        return self.coherence if self.distinction is None else self.distinction


def propose(features: Mapping[Method, tuple[Features, Features]], *, on_dims: Callable[[int], None]) -> Survey:
    """Let each method name its best lags; the same lag from several methods becomes one proposal."""
    proposals: list[Proposal] = []
    plain = {}
    sharp: NDArray[np.float32] | None = None
    first_lag, step_hops = 0, 1
    for method, pair in features.items():
        master, dub = _at_proposing_rate(*pair)
        step_hops = mel.HOP_RATE_HZ // dub.rate_hz
        scores = correlation.score_lags(master, dub, on_dims=on_dims)
        for peak in correlation.peaks(scores.plain, scores.first_lag, PLAIN_PEAKS):
            _merge(proposals, method, peak.lag_hops * step_hops, peak.score)
        for peak in correlation.peaks(scores.sharp, scores.first_lag, SHARP_PEAKS):
            height = float(scores.plain[peak.lag_hops - scores.first_lag])
            _merge(proposals, method, peak.lag_hops * step_hops, height)
        plain[method], first_lag = scores.plain, scores.first_lag
        sharp = scores.sharp if sharp is None else sharp + scores.sharp
    assert sharp is not None
    return Survey(proposals, plain, sharp, first_lag, step_hops)


def _at_proposing_rate(master: Features, dub: Features) -> tuple[Features, Features]:
    if min(master.duration_seconds, dub.duration_seconds) < _LONG_SECONDS:
        return master, dub
    one, other = on_two_cores(Features.at_half_rate, (master, dub))
    return one, other


def _merge(proposals: list[Proposal], method: Method, lag_hops: int, score: float) -> None:
    for index, known in enumerate(proposals):
        if abs(known.lag_hops - lag_hops) <= _SAME_WITHIN_HOPS:
            highest = max(score, known.scores.get(method, score))
            proposals[index] = Proposal(known.lag_hops, {**known.scores, method: highest})
            return
    proposals.append(Proposal(lag_hops, {method: score}))


def check(
    master: Track, dub: Track, proposals: Sequence[Proposal], *, on_block: Callable[[int], None]
) -> list[Checked]:
    """Rank proposals by the coherence of the waveforms, best first; the best few are looked at in more places."""
    first = ranked_by_coherence(_first_looks(master, dub, proposals, on_block))
    many = _worth_another_look(first)
    again = [
        look(master, dub, Proposal(round(one.lag_samples / mel.HOP_SAMPLES), one.scores), SECOND_LOOK_BLOCKS, on_block)
        for one in first[:many]
    ]
    return ranked_by_coherence(again) + first[many:]


def _first_looks(
    master: Track, dub: Track, proposals: Sequence[Proposal], on_block: Callable[[int], None]
) -> list[Checked]:
    """Glance at all; where one stands out by far, only it and those that may be its rivals are worth more."""
    glances = _looks(master, dub, proposals, GLANCE_BLOCKS, on_block)
    best = max((one.coherence for one in glances), default=0.0)
    least = _DOUBTFUL_SHARE * best if best >= _CLEAR_GLANCE else 0.0
    worth_more = [one for one, glance in zip(proposals, glances, strict=True) if glance.coherence >= least]
    if len(worth_more) == 1:  # the second look is all that it needs
        return glances
    return [
        *_looks(master, dub, worth_more, FIRST_LOOK_BLOCKS, on_block),
        *(glance for glance in glances if glance.coherence < least),
    ]


def _looks(
    master: Track, dub: Track, proposals: Sequence[Proposal], most_blocks: int, on_block: Callable[[int], None]
) -> list[Checked]:
    """Look at several lags, in a few places each."""
    looks = []
    for seen in on_two_cores(lambda one: look(master, dub, one, most_blocks, ignore), proposals):
        looks.append(seen)
        on_block(most_blocks)
    return looks


def _worth_another_look(ranked: Sequence[Checked]) -> int:
    """Count the best few that may still turn out to be rivals of the first, by a wide margin."""
    return sum(one.coherence >= _DOUBTFUL_SHARE * ranked[0].coherence for one in ranked[:SECOND_LOOKS])


def is_confirmed(checked: Sequence[Checked]) -> bool:
    """Whether the waveforms agree at any lag, at the speed of the master."""
    return bool(checked) and checked[0].coherence >= confidence.CONFIRMED_SCORE


def ranked_by_coherence(looks: Sequence[Checked]) -> list[Checked]:
    """Sort by coherence; proposals that see the same peak become one, with the scores of both."""
    ranked: list[Checked] = []
    for one in sorted(looks, key=lambda one: -one.coherence):
        for index, known in enumerate(ranked):
            if abs(known.lag_samples - one.lag_samples) <= _SAME_WITHIN_SAMPLES:
                scores = {m: max(s, known.scores.get(m, s)) for m, s in one.scores.items()}
                ranked[index] = Checked(known.lag_samples, {**known.scores, **scores}, known.coherence)
                break
        else:
            ranked.append(one)
    return ranked


def look(master: Track, dub: Track, proposal: Proposal, most_blocks: int, on_block: Callable[[int], None]) -> Checked:
    """Look at up to so many blocks of the waveforms, spread over all, near a proposed lag."""
    lag = proposal.lag_hops * mel.HOP_SAMPLES
    line = Line(lag, 1.0, 0, dub.samples.size)
    starts = coherence.block_starts(line, master.samples.size, dub.samples.size)
    if len(starts) > most_blocks:
        starts = _spread_windows(starts, most_blocks)
    if not len(starts):
        return Checked(lag, proposal.scores, 0.0)
    picture = coherence.correlogram(
        master, dub, line, starts, blocks_per_row=_BLOCKS_PER_LOOK_WINDOW, on_block=on_block
    )
    total = picture.rows.sum(axis=0)
    residual = int(np.argmax(np.abs(total))) - coherence.REACH_SAMPLES
    return Checked(lag + residual, proposal.scores, max(ridge.peak_score(total), _wandering(picture.rows)))


def _spread_windows(starts: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Keep runs of consecutive blocks, spread evenly over all."""
    runs = len(starts) // _BLOCKS_PER_LOOK_WINDOW
    kept = np.unique(np.linspace(0, runs - 1, most // _BLOCKS_PER_LOOK_WINDOW).astype(int))
    return starts[(kept[:, None] * _BLOCKS_PER_LOOK_WINDOW + np.arange(_BLOCKS_PER_LOOK_WINDOW)).reshape(-1)]


def _wandering(rows: NDArray[np.float32]) -> float:
    """Add up the rows' own peaks, wherever each is: high for a drift that smears the sum."""
    heights = np.abs(rows).max(axis=1) / np.maximum(spread(rows), 1e-12)
    return float(np.sqrt(np.square(np.maximum(heights - _CHANCE_PEAK, 0.0)).sum()))
