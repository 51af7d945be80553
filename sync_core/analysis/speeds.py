"""Find out at which speed a dub plays, before it is known where it lies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sync_core.analysis import anchors, plane, rates
from sync_core.analysis.anchors import Anchor
from sync_core.analysis.methods.base import Features
from sync_core.analysis.parallel import on_two_cores
from sync_core.analysis.plane import BlockPeak
from sync_core.analysis.progress import ignore
from sync_core.analysis.track import Track

_ALL = (1.0, *rates.STRETCHES)
_MOST_BLOCKS = 24
_BLOCKS_FOR_SLOPE = 8
_CLEARLY_BETTER = 1.25
_BEYOND_DOUBT = 3.0
_LARGEST_COUNTED = 30.0
_NEAR_NAMED_PPM = 80.0
_SAME_SLOPE_PPM = 150.0


@dataclass(frozen=True, slots=True)
class Speed:
    """`stretch` is the coarse speed at which features match; `slopes` those at which the waveforms were coherent."""

    stretch: float
    slopes: tuple[float, ...]

    @property
    def is_another(self) -> bool:
        """Whether the waveforms agree, and at another speed than the master's."""
        return self.stretch != 1.0 and bool(self.slopes)


def find(
    master: Track,
    dub: Track,
    master_features: Features,
    dub_features: Features,
    starts: Sequence[int],
    block_hops: int,
    *,
    on_block: Callable[[int], None],
) -> Speed:
    """Compare some blocks at every coarse speed, and the best of them closely.

    Parameters
    ----------
    starts
        First hops of the blocks that may be used; some are taken, spread evenly.
    """
    if not starts:
        return Speed(1.0, (1.0,))
    chosen = [starts[k] for k in np.unique(np.linspace(0, len(starts) - 1, _MOST_BLOCKS).astype(int))]
    best_peaks: list[BlockPeak] = []
    best_height, lowest = -1.0, _LARGEST_COUNTED
    for peaks in on_two_cores(
        lambda stretch: _matched(master_features, dub_features, chosen, block_hops, stretch), _ALL
    ):
        on_block(len(chosen))
        height = float(np.mean([min(peak.score, _LARGEST_COUNTED) for peak in peaks] or [0.0]))
        if height > best_height * (_CLEARLY_BETTER if best_peaks else 1.0):
            best_height, best_peaks = height, peaks
        lowest = min(lowest, height)
        if best_height > _BEYOND_DOUBT * lowest:
            break
    stretch = best_peaks[0].stretch if best_peaks else 1.0
    clearest = sorted(best_peaks, key=lambda peak: -peak.score)[:_BLOCKS_FOR_SLOPE]
    return Speed(stretch, _slopes(anchors.discover_slopes(master, dub, clearest, on_block=on_block)))


def _matched(
    master: Features, dub: Features, starts: Sequence[int], block_hops: int, stretch: float
) -> list[BlockPeak]:
    """Find each block's best lag at one coarse speed."""
    return plane.block_peaks(master, dub, starts, block_hops=block_hops, stretch=stretch, count=1, on_group=ignore)


def _slopes(seen: Sequence[Anchor]) -> tuple[float, ...]:
    """Slopes that most of the blocks agree on: their median, and the named rate next to it."""
    if not seen:
        return ()
    slopes = np.array([anchor.slope for anchor in seen])
    middle = float(np.median(slopes))
    agreeing = slopes[np.abs(slopes / middle - 1) * 1e6 < _SAME_SLOPE_PPM]
    middle = float(np.mean(agreeing)) if agreeing.size else middle
    known = [1.0] if abs(middle - 1) * 1e6 < _NEAR_NAMED_PPM else []
    known += [named.ratio] if (named := rates.nearest(middle, _NEAR_NAMED_PPM)) else []
    is_known = any(abs(middle / ratio - 1) * 1e6 < anchors.SLOPE_STEP_PPM for ratio in known)
    return tuple(known) if is_known else (*known, middle)
