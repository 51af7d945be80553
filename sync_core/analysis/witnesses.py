"""Two ways to ask whether the dub agrees with a line: by its waveform, and by its features alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import anchors, boundaries, envelopes, evidence, fit, mel, rates
from sync_core.analysis.anchors import Anchor
from sync_core.analysis.boundaries import Steps
from sync_core.analysis.coherence import BLOCK_SAMPLES
from sync_core.analysis.fit import Fit
from sync_core.analysis.line import Line
from sync_core.analysis.methods.base import FULL_SCALE, Features
from sync_core.analysis.plane import BlockPeak
from sync_core.analysis.track import ANALYSIS_RATE_HZ, Track


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides, and the features that blocks are compared by."""

    master: Track
    dub: Track
    master_features: Features
    dub_features: Features
    on_block: Callable[[int], None]

    def of_master(self) -> Pair:
        """Pair the master with itself."""
        return replace(self, dub=self.master, dub_features=self.master_features)


class Witness(Protocol):
    """What dividing a dub needs to know about a line."""

    step_samples: ClassVar[int]
    """Length of the steps that joins are placed by."""
    within_samples: ClassVar[float]
    """How far off a line a confirmed point may be."""
    least_score: ClassVar[float]
    """The lowest score at which a fit counts as confirmed."""

    def confirm(self, blocks: Sequence[Sequence[BlockPeak]], slopes: Sequence[float]) -> list[list[Anchor]]:
        """Keep of each block's peaks those that hold."""

    def fit(self, line: Line) -> Fit | None:
        """Fit a line on its span."""

    def along(self, found: Fit) -> NDArray[np.float64]:
        """Score every row of the dub on a fit's line, as `evidence.along` does."""

    def steps(self, found: Fit, first: int, last: int) -> Steps:
        """Agreement with a line in steps between two dub samples, about 0 where there is none."""

    def of_master(self) -> Witness:
        """Ask the same of the master against itself."""


@dataclass(frozen=True, slots=True)
class Waveforms:
    """Asks the whitened correlation of the waveforms: exact, and never fooled by likeness."""

    pair: Pair
    step_samples: ClassVar[int] = boundaries.STEP_SAMPLES
    within_samples: ClassVar[float] = 96.0
    least_score: ClassVar[float] = 9.0

    def confirm(self, blocks: Sequence[Sequence[BlockPeak]], slopes: Sequence[float]) -> list[list[Anchor]]:
        return anchors.confirm(self.pair.master, self.pair.dub, blocks, slopes, on_block=self.pair.on_block)

    def fit(self, line: Line) -> Fit | None:
        return fit.fit_line(self.pair.master, self.pair.dub, line, on_block=self.pair.on_block)

    def along(self, found: Fit) -> NDArray[np.float64]:
        wandering = round(found.wow_seconds * ANALYSIS_RATE_HZ)
        return evidence.along(
            self.pair.master, self.pair.dub, found.line, wandering=wandering, on_block=self.pair.on_block
        )

    def steps(self, found: Fit, first: int, last: int) -> Steps:
        if found.wow_seconds:
            found = self.fit(replace(found.line, start_sample=first, stop_sample=last)) or found
        return boundaries.coherence_steps(self.pair.master, self.pair.dub, found, first, last)

    def of_master(self) -> Self:
        return replace(self, pair=self.pair.of_master())


@dataclass(frozen=True, slots=True)
class Envelopes:
    """Asks features and band envelopes: for sound whose phases were moved, as by keeping the pitch."""

    pair: Pair
    step_samples: ClassVar[int] = mel.HOP_SAMPLES
    within_samples: ClassVar[float] = 640.0
    least_score: ClassVar[float] = 12.0

    _LEAST_PEAK: ClassVar[float] = 7.0
    _HIGHEST_RIVAL: ClassVar[float] = 0.8
    """Envelopes of unlike sounds with the same beat fit at many lags about as well."""
    _DOUBT: ClassVar[float] = 0.25

    def confirm(self, blocks: Sequence[Sequence[BlockPeak]], slopes: Sequence[float]) -> list[list[Anchor]]:
        return [self._confirm_block(block, slopes) for block in blocks]

    def _confirm_block(self, block: Sequence[BlockPeak], slopes: Sequence[float]) -> list[Anchor]:
        best, *rivals = sorted(block, key=lambda peak: -peak.score)
        is_ambiguous = bool(rivals) and rivals[0].score > self._HIGHEST_RIVAL * best.score
        if best.score < self._LEAST_PEAK or is_ambiguous:
            return []
        seen = []
        for slope in slopes or _named_near(best.stretch):
            line = anchors.block_line(best, slope)
            middle = (line.start_sample + line.stop_sample) / 2
            seen.append(Anchor(middle, line.slope * middle + line.lag, slope, best.score))
        return seen

    def fit(self, line: Line) -> Fit | None:
        return envelopes.fit_line(self.pair.master, self.pair.dub, line, on_block=self.pair.on_block)

    def along(self, found: Fit) -> NDArray[np.float64]:
        hops = self.pair.dub_features.values.shape[1]
        products, energies = self._products(found.line, 0, hops)
        rows = evidence.row_count(self.pair.dub)
        edges = np.minimum(np.rint(np.arange(rows + 1) * (BLOCK_SAMPLES / mel.HOP_SAMPLES)).astype(int), hops)
        inside = ~np.isnan(products)
        total, power, count = (_sums(part, edges) for part in (np.nan_to_num(products), energies, inside))
        scores = np.where(power > 0, total / np.sqrt(np.maximum(power, 1e-9)), 0.0)
        return np.where(count > 0, scores, np.nan)

    def steps(self, found: Fit, first: int, last: int) -> Steps:
        begin, end = first // mel.HOP_SAMPLES, last // mel.HOP_SAMPLES
        ours, theirs, inside = self._met(found.line, begin, end)
        products = np.where(inside, (ours * theirs).sum(axis=0), 0.0)
        sounds = inside & ours.any(axis=0)
        doubt = self._DOUBT * float(np.sqrt(self.pair.dub_features.values.shape[0]))
        return Steps(np.asarray(products, np.float64), np.asarray(sounds, np.float64), doubt)

    def of_master(self) -> Self:
        return replace(self, pair=self.pair.of_master())

    def _products(self, line: Line, begin: int, end: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Products of features along a line, and their variance for unlike sound, for hops `begin` to `end`."""
        ours, theirs, inside = self._met(line, begin, end)
        products = np.where(inside, (ours * theirs).sum(axis=0), np.nan)
        energies = np.where(inside, np.square(ours * theirs).sum(axis=0), 0.0)
        return products, energies

    def _met(
        self, line: Line, begin: int, end: int
    ) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.bool_]]:
        """Features of both sides [shape=(n_dims, n_hops)], and which hops of the dub have a counterpart."""
        hops = np.arange(begin, min(end, self.pair.dub_features.values.shape[1]))
        there = np.rint(line.master_samples(hops * mel.HOP_SAMPLES) / mel.HOP_SAMPLES).astype(int)
        inside = (there >= 0) & (there < self.pair.master_features.values.shape[1])
        ours = self.pair.master_features.values[:, np.where(inside, there, 0)].astype(np.float32)
        theirs = self.pair.dub_features.values[:, hops].astype(np.float32)
        return np.divide(ours, FULL_SCALE), np.divide(theirs, FULL_SCALE), np.asarray(inside, np.bool_)


def is_heard(witness: Witness, line: Line, wandering: float = 0.0) -> bool:
    """Whether the sum of all on a line's span stands on it, or as far from it as it may wander besides, samples."""
    fit = witness.fit(line)
    middle = (line.start_sample + line.stop_sample) // 2
    within = witness.within_samples + wandering
    return fit is not None and fit.score >= witness.least_score and fit.line.distance(line, middle) <= within


def master_repeats(witness: Witness, one: Line, other: Line, first: int, last: int) -> bool:
    """Whether the master is alike where two lines put the dub samples from `first` up to `last`."""
    slope = one.slope / other.slope
    start, stop = (round(other.slope * at + other.lag) for at in (first, last))
    return is_heard(witness.of_master(), Line(one.lag - slope * other.lag, slope, start, stop))


def _named_near(stretch: float) -> tuple[float, ...]:
    near = tuple(rate.ratio for rate in rates.NAMED if abs(rate.ratio / stretch - 1) < rates.STRETCH_REACH)
    return (1.0, *near) if abs(stretch - 1) < rates.STRETCH_REACH else near


def _sums(values: NDArray[np.floating] | NDArray[np.bool_], edges: NDArray[np.int_]) -> NDArray[np.float64]:
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    return np.asarray(total[edges[1:]] - total[edges[:-1]])
