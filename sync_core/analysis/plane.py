"""The lag/time plane: short blocks of the dub against the whole master.

What one correlation over whole files cannot show, shows here: a stretch of ten seconds that lies elsewhere, and a speed
other than 1, whose blocks wander. For speeds far from 1 the dub's features are stretched before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import fourier
from sync_core.analysis.correlation import hop_energies
from sync_core.analysis.methods.base import FULL_SCALE, Features
from sync_core.analysis.parallel import on_two_cores
from sync_core.analysis.spread import spread

_FFT_HOPS = 4096
_GROUP_CELLS = 6_000_000
_BIN_HOPS = 8
_LEAST_CONTENT = 100.0


@dataclass(frozen=True, slots=True)
class BlockPeak:
    """Where a block of the dub finds something alike in the master.

    `master_hop` is where the block's first hop `dub_hop` would lie (in the dub's own hops, unstretched, as its length);
    `stretch` is the speed that was assumed; `score` in standard deviations of the block's other lags.
    """

    dub_hop: int
    dub_hops: int
    master_hop: int
    stretch: float
    score: float


def block_peaks(
    master: Features,
    dub: Features,
    starts: Sequence[int],
    *,
    block_hops: int,
    stretch: float,
    count: int,
    on_group: Callable[[int], None],
) -> list[BlockPeak]:
    """Find the best lags of each block.

    Parameters
    ----------
    starts
        First hops of the blocks in the dub; a block that runs over the end is filled up with silence.
    block_hops
        Length of a block in the dub's own hops.
    stretch
        Speed that is assumed: block hop k is set against master hop `lag + k * stretch`.
    count
        How many lags each block may name.
    on_group
        Called with the number of blocks done since the last call.

    Notes
    -----
    Overlap-save: per frequency one matrix product of all blocks with all master chunks, over the feature dimensions.
    Cost grows with the product of the durations; memory does not.
    """
    if not starts:
        return []
    span = round(block_hops * stretch)
    step = _FFT_HOPS - span + 1
    chunks, energy = _master_chunks(master.values, span, step)
    lags = energy.size
    group = max(_GROUP_CELLS // (chunks.shape[2] * _FFT_HOPS), 1)

    def peaks_of(first: int) -> list[BlockPeak]:
        some = starts[first : first + group]
        blocks = np.stack([_stretched(dub.values, start, block_hops, stretch, span) for start in some])
        spectra = np.conj(fourier.rfft(blocks, _FFT_HOPS)).transpose(2, 0, 1)
        products = np.matmul(np.ascontiguousarray(spectra), chunks)
        waves = fourier.irfft(products.transpose(1, 2, 0), _FFT_HOPS)
        raw = waves[:, :, :step].reshape(len(some), -1)[:, :lags]
        content = np.square(blocks).sum(axis=(1, 2))
        found: list[BlockPeak] = []
        for row, start, sound in zip(raw, some, content, strict=True):
            if sound > _LEAST_CONTENT * blocks.shape[1]:
                found += _row_peaks(row / energy, start, block_hops, span, stretch, count)
        return found

    found: list[BlockPeak] = []
    firsts = range(0, len(starts), group)
    for first, peaks in zip(firsts, on_two_cores(peaks_of, firsts), strict=True):
        found += peaks
        on_group(len(starts[first : first + group]))
    return found


def _master_chunks(values: NDArray[np.int8], span: int, step: int) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Spectra of overlapping chunks [shape=(bins, dims, chunks)], and the size of the master's content at each lag.

    Lag index k stands for master hop `k - span + 1`.
    """
    dims, hops = values.shape
    lags = hops + span - 1
    count = -(-lags // step)
    padded = np.zeros((dims, span - 1 + count * step + _FFT_HOPS), np.int8)
    padded[:, span - 1 : span - 1 + hops] = values
    spectra = np.empty((_FFT_HOPS // 2 + 1, dims, count), np.complex64)
    for chunk in range(count):
        piece = padded[:, chunk * step : chunk * step + _FFT_HOPS].astype(np.float32) / np.float32(FULL_SCALE)
        spectra[:, :, chunk] = fourier.rfft(piece).T
    power = hop_energies(padded) * np.float32(dims)
    total = np.concatenate([[0.0], np.cumsum(power, dtype=np.float64)])
    met = total[span : span + lags] - total[:lags]
    return spectra, np.sqrt(np.maximum(met, _LEAST_CONTENT * dims)).astype(np.float32)


def _stretched(values: NDArray[np.int8], start: int, hops: int, stretch: float, span: int) -> NDArray[np.float32]:
    """Stretch a block of features, interpolating linearly [shape=(dims, span), float32]."""
    piece = np.zeros((values.shape[0], hops + 1), np.float32)
    taken = values[:, start : start + hops + 1]
    piece[:, : taken.shape[1]] = taken.astype(np.float32) / np.float32(FULL_SCALE)
    if stretch == 1.0:
        return piece[:, :span]
    at = np.minimum(np.arange(span) / stretch, hops - 1e-3)
    whole = at.astype(int)
    part = (at - whole).astype(np.float32)
    return np.asarray(piece[:, whole] * (1 - part) + piece[:, whole + 1] * part)


def _row_peaks(
    row: NDArray[np.float32], start: int, hops: int, span: int, stretch: float, count: int
) -> list[BlockPeak]:
    noise = float(spread(row[:: max(row.size // 20_000, 1)]))
    if noise <= 0:
        return []
    usable = row.size // _BIN_HOPS * _BIN_HOPS
    if not usable:
        return []
    bins = row[:usable].reshape(-1, _BIN_HOPS)
    tops = bins.max(axis=1)
    many = min(2 * count, tops.size)
    best = np.argpartition(tops, -many)[-many:]
    picked: list[int] = []
    for index in best[np.argsort(-tops[best])]:
        lag = int(index) * _BIN_HOPS + int(np.argmax(bins[index]))
        if all(abs(lag - other) > _BIN_HOPS for other in picked):
            picked.append(lag)
    return [BlockPeak(start, hops, lag - span + 1, stretch, float(row[lag]) / noise) for lag in picked[:count]]
