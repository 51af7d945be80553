"""Resampling mono audio to the analysis rate."""

from __future__ import annotations

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

ANALYSIS_RATE_HZ = 16_000


class MonoResampler:
    """Resamples one continuous mono signal; output sample k lies at the time of input sample `k * rate / 16000`."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._sample_rate_hz = sample_rate_hz
        passes = sample_rate_hz == ANALYSIS_RATE_HZ
        self._resampler = None if passes else AudioResampler(format="flt", layout="mono", rate=ANALYSIS_RATE_HZ)

    def push(self, mono: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take a block [shape=(n,), float32] and return what is ready [shape=(m,), float32]."""
        if self._resampler is None:
            return mono
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(mono)[None, :], format="flt", layout="mono")
        frame.sample_rate = self._sample_rate_hz
        return _joined(self._resampler.resample(frame))

    def flush(self) -> NDArray[np.float32]:
        """Return what the filter still holds; the resampler is at its end then."""
        return _joined(self._resampler.resample(None) if self._resampler else [])


def _joined(frames: list[av.AudioFrame]) -> NDArray[np.float32]:
    blocks = [frame.to_ndarray()[0] for frame in frames]
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks or [np.zeros(0, np.float32)])
