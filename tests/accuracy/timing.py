"""Move, speed up and stretch audio exactly.

`master_time = speed * dub_time + offset` inside one segment; a dub that is 15.023 s late has offset -15.023, and
`speed` above 1 means that the dub plays faster.
"""

from __future__ import annotations

import math

import numpy as np
import soxr
from scipy import ndimage, signal

from tests.accuracy.level import BLOCK, SR, run


def cut(audio: np.ndarray, start: float, seconds: float) -> np.ndarray:
    """audio at times start + k/SR: any real start, zeros outside, windowed-sinc interpolated."""
    taps = 96
    count = round(seconds * SR)
    whole = math.floor(start * SR + 1e-7)
    fraction = start * SR - whole
    k = np.arange(-taps, taps + 1)
    kernel = np.sinc(k + fraction) * np.kaiser(k.size, 12)
    kernel = (kernel / kernel.sum()).astype(np.float32).reshape((-1,) + (1,) * (audio.ndim - 1))
    out = np.zeros((count, *audio.shape[1:]), np.float32)
    for i in range(0, count, BLOCK):
        n = min(BLOCK, count - i)
        lo, hi = whole + i - taps, whole + i + n + taps
        piece = np.zeros((hi - lo, *audio.shape[1:]), np.float32)
        a, b = max(lo, 0), min(hi, audio.shape[0])
        if b > a:
            piece[a - lo : b - lo] = audio[a:b]
        if abs(fraction) > 1e-6:
            piece = signal.oaconvolve(piece, kernel, mode="same", axes=0)
        out[i : i + n] = piece[taps:-taps]
    return out


def varispeed(audio: np.ndarray, speed: float) -> np.ndarray:
    """Play faster by `speed`, pitch moving with it (sample 0 stays sample 0)."""
    return soxr.resample(audio, SR * speed, SR, quality="VHQ").astype(np.float32)


def wander(audio: np.ndarray, reach: float, period: float) -> np.ndarray:
    """Play up to `reach` seconds early and late by turns, as tape does: audio at t + reach * sin(2 pi t / period)."""
    seconds = np.arange(audio.shape[0]) / SR
    at = (seconds + reach * np.sin(2 * np.pi * seconds / period)) * SR
    moved = [ndimage.map_coordinates(channel, [at], order=5, mode="constant") for channel in audio.T]
    return np.stack(moved, axis=1).astype(np.float32)


def time_stretch(audio: np.ndarray, speed: float) -> np.ndarray:
    """Play faster by `speed` with the pitch kept, by ffmpeg's rubberband filter.

    Measured on click trains: rubberband keeps events within +-6 ms of speed * t; ffmpeg's
    atempo puts them all about 20 ms early, which would falsify the truth.
    """
    raw = run(
        [
            "ffmpeg",
            "-v",
            "error",
            "-f",
            "f32le",
            "-ar",
            str(SR),
            "-ac",
            str(audio.shape[1]),
            "-i",
            "-",
            "-af",
            f"rubberband=tempo={speed:.9f}",
            "-f",
            "f32le",
            "-",
        ],
        input=np.ascontiguousarray(audio, dtype="<f4").tobytes(),
    ).stdout
    return np.frombuffer(raw, "<f4").reshape(-1, audio.shape[1]).copy()


def delay_between(reference: np.ndarray, other: np.ndarray, limit: float = 0.2) -> float:
    """Seconds by which `other` is late, by plain cross-correlation with a parabolic peak."""
    n = min(len(reference), len(other), SR * 60)
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(other[:n], size) * np.conj(np.fft.rfft(reference[:n], size))
    r = np.fft.irfft(spectrum, size)
    reach = int(limit * SR)
    r = np.concatenate([r[-reach:], r[: reach + 1]])
    i = int(np.argmax(np.abs(r)))
    if 0 < i < r.size - 1:
        y0, y1, y2 = np.abs(r[i - 1 : i + 2])
        bend = y0 - 2 * y1 + y2
        return float((i - reach + (0.5 * (y0 - y2) / bend if bend else 0.0)) / SR)
    return float((i - reach) / SR)
