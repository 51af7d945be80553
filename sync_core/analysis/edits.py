"""Divide a dub into pieces that each lie on one line, or on none."""

from __future__ import annotations

from collections.abc import Sequence

from sync_core.analysis import blocks, clusters, heard_lines, pieces, stretches
from sync_core.analysis.anchors import Anchor
from sync_core.analysis.fit import Fit
from sync_core.analysis.heard_lines import Heard
from sync_core.analysis.pieces import Piece
from sync_core.analysis.plane import BlockPeak
from sync_core.analysis.speeds import Speed
from sync_core.analysis.track import ANALYSIS_RATE_HZ
from sync_core.analysis.witnesses import Envelopes, Pair, Waveforms, Witness

_LEAST_PEAK = 4.5
_RIVAL_SHARE = 0.4
_MOSTLY = 0.5
_CLEARLY_MORE = 1.5
"""So much more than waveforms, which are exact, must envelopes explain to be believed instead."""
_SAME_SAMPLES = 0.06 * ANALYSIS_RATE_HZ


def divide(pair: Pair, whole: Fit | None, speed: Speed | None = None) -> list[Piece]:
    """Find the pieces that a dub consists of.

    Parameters
    ----------
    whole
        The best single line, if one was confirmed. Only where the dub does not agree with it is anything else looked
        for.
    speed
        The speed that the dub plays at as a whole, if that was asked already.

    Returns
    -------
    pieces
        In dub order, without overlap, from the dub's first sample to its last; empty if nothing was confirmed.
    """
    open_rows = blocks.unexplained(pair, whole)
    if whole and not open_rows.any():
        return [Piece(whole, 0, pair.dub.samples.size)]
    if whole and open_rows.mean() <= _MOSTLY:
        speed = Speed(1.0, (whole.line.slope,))
    elif whole or speed is None:
        speed = blocks.find_speed(pair, open_rows)
    clear = heard_lines.find_clear(pair, open_rows, speed, whole)
    peaks = blocks.search(pair, heard_lines.still_open(open_rows, clear), speed)
    if whole and not (clear or peaks):  # what is open is too short to be looked for
        return [Piece(whole, 0, pair.dub.samples.size)]
    found = _divided(pair, Waveforms(pair), peaks, speed.slopes, clear, whole)
    if whole and not _keeps(found, whole):
        found = [Piece(whole, 0, pair.dub.samples.size)]
    if _covered(found) > _MOSTLY or (whole and speed.stretch == 1.0):
        return found
    by_envelopes = _divided(pair, Envelopes(pair), blocks.search(pair, open_rows, speed), (), [], None)
    return by_envelopes if _covered(by_envelopes) > _CLEARLY_MORE * _covered(found) else found


def _keeps(pieces: Sequence[Piece], whole: Fit) -> bool:
    """Whether pieces may stand for the whole: the line that most of the dub lies on must be among them."""
    if whole.support < _MOSTLY:
        return bool(pieces)
    middles = [(piece.fit.line, (piece.start + piece.stop) // 2) for piece in pieces if piece.fit]
    return any(line.distance(whole.line, at) < _SAME_SAMPLES for line, at in middles)


def _covered(pieces: Sequence[Piece]) -> float:
    """Share of the dub whose windows stand on the pieces' lines."""
    whole = sum(piece.stop - piece.start for piece in pieces)
    return sum(piece.fit.support * (piece.stop - piece.start) for piece in pieces if piece.fit) / max(whole, 1)


def _divided(
    pair: Pair,
    witness: Witness,
    peaks: Sequence[Sequence[BlockPeak]],
    slopes: Sequence[float],
    clear: Sequence[Heard],
    whole: Fit | None,
) -> list[Piece]:
    """Let a witness confirm what the blocks found, gather it into lines, and divide the dub among them."""
    found = heard_lines.elsewhere(_confirm(witness, peaks, slopes), whole)
    fits = [*([whole] if whole else []), *(heard.fit for heard in clear)]
    points = [point for fit in fits for point in heard_lines.points_of(fit)]
    lines = clusters.gather([*points, *found], witness.within_samples)
    everything = [heard for line in lines if (heard := heard_lines.listen(witness, line, clear))]
    if not everything:
        return []
    if not everything[0].scores.size:  # shorter than a row
        return [Piece(everything[0].fit, 0, pair.dub.samples.size)]
    return pieces.join(pair.dub.samples, witness, stretches.find(witness, everything))


def _confirm(witness: Witness, peaks: Sequence[Sequence[BlockPeak]], slopes: Sequence[float]) -> list[Anchor]:
    """Confirm blocks' peaks; those far below a block's best are echoes of it, such as repeats in the music."""
    likely = [
        [peak for peak in block if peak.score > max(_LEAST_PEAK, _RIVAL_SHARE * block[0].score)] for block in peaks
    ]
    found: list[Anchor] = []
    for anchors in witness.confirm([block for block in likely if block], slopes):
        best = max((anchor.score for anchor in anchors), default=0.0)
        found += [anchor for anchor in anchors if anchor.score >= _RIVAL_SHARE * best]
    return found
