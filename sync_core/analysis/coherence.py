"""How coherent two waveforms are near a line: the short-time phase-transform correlogram.

Blocks of 0.256 s of the dub are set against the master where a line puts them; their cross-spectra are whitened (each
frequency counts alike, only phases matter) and added up over rows of a second or more. Each row, transformed back, is a
correlation over residual delays of +-60 ms around the line. What both sides share adds up at one delay; dialogue, noise
and everything else spreads evenly.

A line with a slope other than 1 needs no resampling: the master's block, and what it is filled up to, is longer by the
slope, so that bin k counts k cycles on both sides.

References
----------
Knapp and Carter, The generalized correlation method for estimation of time delay (1976).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import fourier, lengths, spectra
from sync_core.analysis.lengths import Lengths
from sync_core.analysis.line import Line
from sync_core.analysis.parallel import on_two_cores
from sync_core.analysis.track import ANALYSIS_RATE_HZ, Track

BLOCK_SAMPLES = 4096
REACH_SAMPLES = 960
"""Residual delays up to 60 ms to either side."""

_BATCH_BLOCKS = 96
"""Fewer take longer: the two threads wait for the interpreter with each numpy call."""
_TINY = np.float32(1e-30)


@dataclass(frozen=True, slots=True)
class Correlogram:
    """Whitened correlation near a line.

    Attributes
    ----------
    rows : [shape=(n_rows, 2 * REACH_SAMPLES + 1), float32]
        Column c is a residual delay of `c - REACH_SAMPLES` dub samples: at that row,
        `master = line(dub + residual)`.
        A row sums its blocks; a block alone peaks at 1 when both sides are the same.
    centre_seconds : [shape=(n_rows,), float64, seconds]
        Dub time of each row's middle, counted from the dub's first sample.
    blocks : [shape=(n_rows,), float32]
        How many blocks of each row had sound on both sides.
    """

    rows: NDArray[np.float32]
    centre_seconds: NDArray[np.float64]
    blocks: NDArray[np.float32]


def block_starts(line: Line, master_size: int, dub_size: int, step: int = BLOCK_SAMPLES) -> NDArray[np.int64]:
    """First dub samples of all blocks that lie inside the line's span and have a whole counterpart in the master."""
    first = max(line.start_sample, 0)
    last = min(line.stop_sample, dub_size) - BLOCK_SAMPLES
    starts = np.arange(first, last + 1, step, dtype=np.int64)
    at = line.master_samples(starts)
    return starts[(at >= 1) & (at + master_block(line) + 1 <= master_size)]


def master_block(line: Line) -> int:
    """Length of the master's counterpart of a block, samples."""
    return round(BLOCK_SAMPLES * line.slope)


def correlogram(
    master: Track,
    dub: Track,
    line: Line,
    starts: NDArray[np.int64],
    *,
    blocks_per_row: int,
    on_block: Callable[[int], None],
) -> Correlogram:
    """Correlate blocks of the dub with the master along a line.

    Parameters
    ----------
    line
        Where in the master each dub sample is expected.
    starts : [shape=(n_blocks,), int64, samples]
        First dub samples of the blocks; all must have a counterpart (see `block_starts`).
    blocks_per_row
        How many consecutive blocks are added up in a row.
    on_block
        Called with the number of blocks done since the last call.
    """
    count = -(-len(starts) // blocks_per_row)
    rows = np.zeros((count, 2 * REACH_SAMPLES + 1), np.float32)
    heard = np.zeros(count, np.float32)
    centres = np.zeros(count)
    rows_per_batch = max(_BATCH_BLOCKS // blocks_per_row, 1)
    size = lengths.choose(BLOCK_SAMPLES, line.slope)

    def one_batch(row: int) -> int:
        batch = starts[row * blocks_per_row : (row + rows_per_batch) * blocks_per_row]
        edges = np.arange(0, len(batch), blocks_per_row)
        done = slice(row, row + len(edges))
        middles = np.add.reduceat(batch, edges) / np.diff(np.append(edges, len(batch))) + BLOCK_SAMPLES / 2
        centres[done] = middles / ANALYSIS_RATE_HZ
        if any(dub.sounds(int(start), int(start) + BLOCK_SAMPLES) for start in batch):
            white, loud = _whitened(master.samples, dub.samples, batch, line, size)
            rows[done] = residuals(_row_sums(white, blocks_per_row), size.dub)
            heard[done] = np.add.reduceat(loud.astype(np.float32), edges)
        return len(batch)

    for blocks in on_two_cores(one_batch, range(0, count, rows_per_batch)):
        on_block(blocks)
    return Correlogram(rows, centres, heard)


def summed(master: Track, dub: Track, line: Line, starts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Correlate blocks as `correlogram` does and add them all up, on the thread that calls.

    Returns
    -------
    row : [shape=(2 * REACH_SAMPLES + 1,), float32]
    """
    size = lengths.choose(BLOCK_SAMPLES, line.slope)
    total = np.zeros((1, size.dub // 2 + 1), np.complex64)[:, spectra.in_band(size.dub)]
    for first in range(0, len(starts), _BATCH_BLOCKS):
        white, _ = _whitened(master.samples, dub.samples, starts[first : first + _BATCH_BLOCKS], line, size)
        total += white.sum(axis=0)
    return np.asarray(residuals(total, size.dub)[0])


def _whitened(
    master: NDArray[np.float32], dub: NDArray[np.float32], starts: NDArray[np.int64], line: Line, size: Lengths
) -> tuple[NDArray[np.complex64], NDArray[np.bool_]]:
    """Whitened cross-spectra of blocks [shape=(n, bins)], zero where either side is silent, and which are not."""
    stretch = size.master / size.dub
    exact = line.master_samples(starts) + (line.slope - stretch) * BLOCK_SAMPLES / 2
    whole = np.rint(exact).astype(np.int64)
    band = spectra.in_band(size.dub)
    left = spectra.of_blocks(
        master, np.clip(whole, 0, master.size - size.counterpart), size.counterpart, size.master, band
    )
    right = spectra.of_blocks(dub, starts, size.block, size.dub, band)
    loud = spectra.loud(left) & spectra.loud(right)
    product = left * np.conj(right, out=right)
    power = np.square(product.real)
    power += np.square(product.imag)
    power += _TINY
    product *= np.divide(loud[:, None], np.sqrt(power, out=power), out=power, dtype=np.float32)
    residual = ((exact - whole) / stretch).astype(np.float32)
    if np.any(residual):
        product *= spectra.turns(residual, size.dub)
    return np.asarray(product, np.complex64), loud


def _row_sums(white: NDArray[np.complex64], blocks_per_row: int) -> NDArray[np.complex64]:
    """Add up every so many blocks; the last row may have fewer."""
    whole = len(white) // blocks_per_row * blocks_per_row
    sums = white[:whole].reshape(-1, blocks_per_row, white.shape[1]).sum(axis=1)
    if whole < len(white):
        sums = np.concatenate([sums, white[whole:].sum(axis=0, keepdims=True)])
    return np.asarray(sums, np.complex64)


def residuals(white: NDArray[np.complex64], size: int) -> NDArray[np.float32]:
    """Transform whitened spectra back, normalised so that one block of equal sides peaks at 1; keep the near delays."""
    full = np.zeros((len(white), size // 2 + 1), np.complex64)
    full[:, spectra.in_band(size)] = white
    wave = fourier.irfft(full, size) * np.float32(size / (2.0 * white.shape[1]))
    return np.concatenate([wave[:, -REACH_SAMPLES:], wave[:, : REACH_SAMPLES + 1]], axis=1)
