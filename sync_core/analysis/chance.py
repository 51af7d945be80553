"""Tell a programme that two recordings share from moments that they share by chance.

Recordings that have nothing to do with each other may hold the same sound: drums of one sample library, hits of one
sound effect. Where a few such moments fall into place, they agree to the sample, and more clearly than faint music
under two voices does. But between them nothing agrees, and not even there all that is heard is the same; music and
effects that master and dub share agree a little nearly everywhere, and wholly where nobody speaks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sync_core.analysis import coherence
from sync_core.analysis.coherence import REACH_SAMPLES
from sync_core.analysis.pieces import Piece
from sync_core.analysis.spread import spread
from sync_core.analysis.track import Track

_MOST_BLOCKS = 480
"""Two minutes: chance does not keep up for longer."""
_NEAR_COLUMNS = 2
_CLEAR = 4.0
_LEAST_USUAL = 2.0
_THE_SAME = 30.0


def without_chance(master: Track, dub: Track, pieces: list[Piece], *, on_block: Callable[[int], None]) -> list[Piece]:
    """Take the fit from each piece that agrees at a few moments only."""
    return [replace(piece, fit=None) if _is_by_chance(master, dub, piece, on_block) else piece for piece in pieces]


def _is_by_chance(master: Track, dub: Track, piece: Piece, on_block: Callable[[int], None]) -> bool:
    fit = piece.fit
    if fit is None or fit.wow_seconds or not fit.on_waveforms:
        return False
    line = replace(fit.line, start_sample=piece.start, stop_sample=piece.stop)
    starts = coherence.block_starts(line, master.samples.size, dub.samples.size)
    if not 0 < len(starts) <= _MOST_BLOCKS:
        return False
    picture = coherence.correlogram(master, dub, line, starts, blocks_per_row=1, on_block=on_block)
    rows = fit.sign * picture.rows[picture.blocks > 0]
    if not len(rows):
        return False
    near = rows[:, REACH_SAMPLES - _NEAR_COLUMNS : REACH_SAMPLES + _NEAR_COLUMNS + 1]
    heights = near[:, np.argmax(near.sum(axis=0))] / np.maximum(spread(rows), 1e-9)
    return bool(np.minimum(heights, _CLEAR).mean() < _LEAST_USUAL and heights.max() < _THE_SAME)
