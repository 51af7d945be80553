"""Shift and stretch audio exactly: by fractions of a sample, and by parts per million, without filters of one's own.

A signal below half the sample rate is its own Fourier series, so a phase ramp shifts it and a shorter spectrum
resamples it, both to rounding error. The series is periodic: what is cut must keep away from the ends.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from scipy import fft

from sync_core.media.small_files import Stereo

RATE_HZ = 48_000


def cut(world: Stereo, *, start_seconds: float, seconds: float, speed_ratio: Fraction = Fraction(1)) -> Stereo:
    """Play a stretch of a recording at some speed, starting at any real time.

    Sample n of the result is the recording at `start_seconds + speed_ratio * n / RATE_HZ` seconds.

    Parameters
    ----------
    world
        [shape=(n_samples, 2), float32, at RATE_HZ]
    seconds
        Length of the result, in its own time.

    speed_ratio
        Transforms are fast where the numerator and the denominator have small prime factors only.

    Raises
    ------
    ValueError
        If the stretch is not wholly inside the recording.
    """
    start = start_seconds * RATE_HZ
    count = round(seconds * RATE_HZ)
    if start < 0 or start + speed_ratio * count > world.shape[0]:
        raise ValueError(f"{seconds} s from {start_seconds} s on are not all there")
    first = math.floor(start / speed_ratio)
    played = _resampled(world, speed_ratio, shift=start - float(first * speed_ratio))
    return played[first : first + count]


def _resampled(world: Stereo, speed_ratio: Fraction, *, shift: float) -> Stereo:
    """Give the recording at `shift + speed_ratio * n` samples, for all n."""
    if speed_ratio == 1 and shift == 0.0:
        return world
    periods = fft.next_fast_len(math.ceil(world.shape[0] / speed_ratio.numerator), real=True)
    samples, count = periods * speed_ratio.numerator, periods * speed_ratio.denominator
    spectrum = fft.rfft(world, samples, axis=0)[: count // 2 + 1]
    ramp = np.exp(2j * np.pi * shift / samples * np.arange(spectrum.shape[0])).astype(np.complex64)
    played = fft.irfft(spectrum * ramp[:, None], count, axis=0) * np.float32(count / samples)
    return np.asarray(played, dtype=np.float32)
