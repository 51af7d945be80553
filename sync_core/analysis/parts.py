"""Compare parts of a pair, where it is not known at first which parts of the master belong to those of the dub."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from sync_core.analysis import assemble, confidence, edits, hypotheses, mel, plane
from sync_core.analysis.assemble import Sides
from sync_core.analysis.compare import best_fit
from sync_core.analysis.correlation import hop_energies
from sync_core.analysis.estimate import Estimate
from sync_core.analysis.hypotheses import Checked, Proposal
from sync_core.analysis.line import Line
from sync_core.analysis.methods.base import FULL_SCALE, Features
from sync_core.analysis.methods.registry import AVAILABLE
from sync_core.analysis.methods.spectral import Spectral
from sync_core.analysis.parallel import on_two_cores
from sync_core.analysis.plane import BlockPeak
from sync_core.analysis.progress import Stage, ignore
from sync_core.analysis.track import Track
from sync_core.analysis.witnesses import Pair
from sync_core.domain.methods import Method

_PEAKS_PER_WINDOW: Final = 4
_PROPOSALS: Final = 16
_SAME_WITHIN_HOPS: Final = 3
_LAGS: Final = 4
_LOOK_BLOCKS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Found:
    """What a first look found.

    Attributes
    ----------
    line
        None where none is confirmed.
    checked
        All lags that were checked, best first.
    dub_features
        Of the method that looked.
    """

    line: Line | None
    checked: Sequence[Checked]
    dub_features: Mapping[Method, Features]

    @property
    def lines(self) -> list[Line]:
        """Where parts of the dub may lie: on the line, or at another lag that the waveforms confirm."""
        if self.line is None:
            return []
        confirmed = [one for one in self.checked[:_LAGS] if one.coherence >= confidence.CONFIRMED_SCORE]
        return [self.line, *(replace(self.line, lag=one.lag_samples, slope=1.0) for one in confirmed)]


def find_line(
    master: Track,
    dub: Track,
    *,
    stretches: Sequence[tuple[int, int]],
    windows: Sequence[tuple[int, int]],
    on_progress: Callable[[float], None],
) -> Found:
    """Compare windows of the dub with stretches of the master, by the most sensitive method alone.

    Parameters
    ----------
    stretches, windows
        The parts of master and dub that are there, [start, stop) in whole seconds; a window is shorter than a stretch.
    """
    one, other = on_two_cores(Spectral().features, (master, dub))
    on_progress(0.4)
    proposals = _proposals(one, other, stretches, windows)
    on_progress(0.6)
    looking = Stage(on_progress, 0.6, 0.8, _LOOK_BLOCKS)
    checked = hypotheses.check(master, dub, proposals, on_block=looking.advance)
    fit = best_fit(master, dub, checked, lambda _: on_progress(0.9))
    return Found(fit.line if fit else None, checked, {Method.SPECTRAL: other})


def features_of(track: Track, methods: Sequence[Method], known: Mapping[Method, Features]) -> dict[Method, Features]:
    """Let signal methods look at a track; what is known already is not done again."""
    new = [method for method in methods if method not in known]
    seen = on_two_cores(lambda method: AVAILABLE[method].features(track), new)
    found = {**known, **dict(zip(new, seen, strict=True))}
    return {method: found[method] for method in methods}


def compare_on(
    master: Track,
    dub: Track,
    dub_features: Mapping[Method, Features],
    found: Found,
    *,
    on_progress: Callable[[float], None],
) -> Estimate:
    """Compare tracks that hold the parts that meet on the line that was found.

    Parameters
    ----------
    dub_features
        Of the methods asked for; each says how well its features agree on the line.
    """
    methods = list(dub_features)
    if found.line is None:
        return assemble.refused(found.checked, methods, ())
    features = {method: (ours, dub_features[method]) for method, ours in features_of(master, methods, {}).items()}
    on_progress(0.3)
    middle = (found.line.start_sample + found.line.stop_sample) // 2
    lag = found.line.slope * middle + found.line.lag - middle
    scores = {method: _score_on(found.line, *pair) for method, pair in features.items()}
    looking = Stage(on_progress, 0.3, 0.5, _LOOK_BLOCKS)
    checked = hypotheses.check(master, dub, [Proposal(round(lag / mel.HOP_SAMPLES), scores)], on_block=looking.advance)
    fit = best_fit(master, dub, checked, lambda _: on_progress(0.6))
    dividing = Stage(on_progress, 0.7, 1.0, _LOOK_BLOCKS)
    pieces = edits.divide(Pair(master, dub, *features[methods[0]], dividing.advance), fit)
    on_progress(1.0)
    everything = [*checked, *_rivals(found.checked, checked[0].coherence)]
    if not any(piece.fit for piece in pieces):
        return assemble.refused(everything, methods, ())
    return assemble.matched(Sides(master, dub), pieces, everything, methods, ())


def _rivals(checked: Sequence[Checked], coherence: float) -> list[Checked]:
    """Give the other lags of the first look the coherence that they would have where more parts meet."""
    own = checked[0].coherence
    return [replace(one, coherence=one.coherence * coherence / own) for one in checked[1:]] if own > 0 else []


def _score_on(line: Line, master: Features, dub: Features) -> float:
    """Agreement of features on a line, in standard deviations of what unlike sound would give."""
    hops = np.flatnonzero(hop_energies(dub.values))
    there = np.rint(line.master_samples(hops * mel.HOP_SAMPLES) / mel.HOP_SAMPLES).astype(int)
    inside = (there >= 0) & (there < master.values.shape[1])
    ours = master.values[:, there[inside]].astype(np.float32) / FULL_SCALE
    theirs = dub.values[:, hops[inside]].astype(np.float32) / FULL_SCALE
    products = ours * theirs
    return float(products.sum() / max(float(np.sqrt(np.square(products).sum())), 1e-6))


def _proposals(
    master: Features, dub: Features, stretches: Sequence[tuple[int, int]], windows: Sequence[tuple[int, int]]
) -> list[Proposal]:
    """Name the lags at which windows find something alike, those of several windows first."""
    rate = mel.HOP_RATE_HZ
    parts = [slice(start * rate, stop * rate) for start, stop in stretches]
    together = Features(np.concatenate([master.values[:, part] for part in parts], axis=1), rate)
    origin = np.concatenate([np.arange(part.start, min(part.stop, master.values.shape[1])) for part in parts])
    length = min(stop - start for start, stop in windows) * rate
    peaks = plane.block_peaks(
        together,
        dub,
        [start * rate for start, _ in windows],
        block_hops=length,
        stretch=1.0,
        count=_PEAKS_PER_WINDOW,
        on_group=ignore,
    )
    whole = [peak for peak in peaks if _is_whole(peak, origin.size)]
    lags = [(int(origin[peak.master_hop]) - peak.dub_hop, peak.score) for peak in whole]
    sums = [
        (lag, sum(score for other, score in lags if abs(other - lag) <= _SAME_WITHIN_HOPS))
        for lag in {k for k, _ in lags}
    ]
    picked: list[Proposal] = []
    for lag, score in sorted(sums, key=lambda one: -one[1]):
        if all(abs(lag - known.lag_hops) > _SAME_WITHIN_HOPS for known in picked):
            picked.append(Proposal(lag, {Method.SPECTRAL: score}))
        if len(picked) == _PROPOSALS:
            break
    return picked


def _is_whole(peak: BlockPeak, hops: int) -> bool:
    return peak.master_hop >= 0 and peak.master_hop + peak.dub_hops <= hops
