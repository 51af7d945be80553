"""Rows of analysis audio: the mix, and single channels beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sync_core.media.gather import Planes
from sync_core.media.mixing import Mixer
from sync_core.media.resample import MonoResampler


class RowMaker:
    """Makes the rows of one stretch of constant sample rate and layout.

    Parameters
    ----------
    template
        A block of the stretch; others of the same shape `fit`.
    channel
        Row 0 is this channel; None: the downmix.
    channel_rows
        So many channels follow as rows of their own.
    """

    def __init__(self, template: Planes, channel: int | None, channel_rows: int) -> None:
        self._template = template
        self._channel = channel
        self._channel_rows = channel_rows
        self._mixer = Mixer(template.channels)
        self._resamplers = [MonoResampler(template.sample_rate_hz) for _ in range(1 + channel_rows)]

    def fits(self, planes: Planes) -> bool:
        ours = self._template
        return (planes.sample_rate_hz, planes.channels) == (ours.sample_rate_hz, ours.channels)

    def push(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take a block [shape=(channels, n), float32] and return what is ready [shape=(rows, m), float32, 16 kHz]."""
        main = self._mixer.mix(planes) if self._channel is None else _row(planes, self._channel)
        sources = [main, *(_row(planes, index) for index in range(self._channel_rows))]
        return np.stack([resampler.push(source) for resampler, source in zip(self._resamplers, sources, strict=True)])

    def flush(self) -> NDArray[np.float32]:
        """Return what the filters still hold; what is pushed next starts anew."""
        held = np.stack([resampler.flush() for resampler in self._resamplers])
        self._resamplers = [MonoResampler(self._template.sample_rate_hz) for _ in self._resamplers]
        return held


def _row(planes: NDArray[np.float32], index: int) -> NDArray[np.float32]:
    """Return one channel; silence where the stream has fewer by now."""
    return planes[index] if index < len(planes) else np.zeros(planes.shape[1], np.float32)
