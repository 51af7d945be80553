"""Synthetic programmes: sound that changes as programmes do, without recordings."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis.track import ANALYSIS_RATE_HZ, Track, TrackBuilder


def programme(seconds: float, seed: int, carrier_seed: int | None = None) -> NDArray[np.float32]:
    """Noise in eight bands, each band switched and faded by a rhythm of its own [float32, 16 kHz].

    With another carrier seed the rhythms stay and the noise differs: as if all phases had been moved.
    """
    rng = np.random.default_rng(seed)
    count = int(seconds * ANALYSIS_RATE_HZ)
    noise = rng.standard_normal(count)
    if carrier_seed is not None:
        noise = np.random.default_rng(carrier_seed).standard_normal(count)
    spectrum = np.fft.rfft(noise)
    hz = np.fft.rfftfreq(count, 1.0 / ANALYSIS_RATE_HZ)
    edges = np.geomspace(100.0, 7_000.0, 9)
    out = np.zeros(count)
    for low, high in itertools.pairwise(edges):
        band = np.fft.irfft(np.where((hz >= low) & (hz < high), spectrum, 0.0), count)
        knots = np.arange(0.0, seconds + 0.2, 0.12)
        levels = rng.choice([0.02, 0.2, 1.0], knots.size)
        out += band * np.interp(np.arange(count) / ANALYSIS_RATE_HZ, knots, levels)
    return (0.1 * out / out.std()).astype(np.float32)


def shifted(samples: NDArray[np.float32], seconds: float, length: int) -> NDArray[np.float32]:
    """`length` samples from any real time on, interpolated exactly; zeros outside [float32]."""
    pad = ANALYSIS_RATE_HZ
    whole = int(np.floor(seconds * ANALYSIS_RATE_HZ))
    fraction = seconds * ANALYSIS_RATE_HZ - whole
    piece = np.zeros(length + 2 * pad)
    first, last = max(whole - pad, 0), min(whole + length + pad, samples.size)
    if last > first:
        piece[first - whole + pad : last - whole + pad] = samples[first:last]
    turns = np.fft.rfftfreq(piece.size)
    moved = np.fft.irfft(np.fft.rfft(piece) * np.exp(2j * np.pi * turns * fraction), piece.size)
    return moved[pad : pad + length].astype(np.float32)


def track(samples: NDArray[np.float32], start_seconds: float = 0.0) -> Track:
    builder = TrackBuilder(start_seconds)
    for block in np.array_split(samples, max(samples.size // 30_000, 1)):
        builder.push(block)
    return builder.finish()
