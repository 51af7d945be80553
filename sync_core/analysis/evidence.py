"""How well each moment of the dub agrees with a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import coherence
from sync_core.analysis.coherence import BLOCK_SAMPLES, REACH_SAMPLES
from sync_core.analysis.line import Line
from sync_core.analysis.spread import spread
from sync_core.analysis.track import ANALYSIS_RATE_HZ, Track

_CHUNK_ROWS = 512
_NEAR_COLUMNS = 4
_NOISE_COLUMNS = 3
"""Every so many columns tell the noise about as well as all."""
_MARGIN_SAMPLES = 80 * ANALYSIS_RATE_HZ


def row_count(dub: Track) -> int:
    """Count the rows of 0.256 s; a rest shorter than that has no row of its own."""
    return dub.samples.size // BLOCK_SAMPLES


def along(
    master: Track, dub: Track, line: Line, *, wandering: int, on_block: Callable[[int], None]
) -> NDArray[np.float64]:
    """Score each row of the dub on a line, in its span and some way beyond on either side.

    Parameters
    ----------
    wandering
        How far the dub may lie off the line, samples; a quarter of a millisecond is allowed on top of it.

    Returns
    -------
    scores : [shape=(n_rows,), float64]
        Height at the line, in standard deviations of other delays; 0 where either side is silent, NaN where the master
        has no counterpart, and farther away.
    """
    rows = row_count(dub)
    scores = np.full(rows, np.nan)
    reach = _NEAR_COLUMNS + wandering
    first = max(line.start_sample - _MARGIN_SAMPLES, 0) // BLOCK_SAMPLES * BLOCK_SAMPLES
    around = replace(line, start_sample=first, stop_sample=line.stop_sample + _MARGIN_SAMPLES)
    starts = coherence.block_starts(around, master.samples.size, dub.samples.size)
    for chunk in range(0, len(starts), _CHUNK_ROWS):
        some = starts[chunk : chunk + _CHUNK_ROWS]
        picture = coherence.correlogram(master, dub, around, some, blocks_per_row=1, on_block=on_block)
        near = picture.rows[:, REACH_SAMPLES - reach : REACH_SAMPLES + reach + 1]
        heights = np.abs(near).max(axis=1) / np.maximum(spread(picture.rows[:, ::_NOISE_COLUMNS]), 1e-9)
        scores[some // BLOCK_SAMPLES] = np.where(picture.blocks > 0, heights, 0.0)
    return scores
