"""An embedding that needs no weights: how each part of the spectrum moves.

Around each hop, each mel band's log energy is described by how strongly, and in which phase, it swings at a few rates
(a short modulation spectrum). Levels and fixed colouration fall out, for a constant has no swing; each band is weighed
against its own habit of the seconds around, so that dialogue, which fills some bands, does not outshout the music in
the others.

References
----------
Greenberg and Kingsbury, The modulation spectrogram: in pursuit of an invariant representation of speech (1997).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from sync_core.models.embedder import SAMPLE_RATE_HZ, Geometry, OnProgress, chunks, ignore

BANDS: Final = 20
LOWEST_HZ, HIGHEST_HZ = 100.0, 7_600.0
MODULATION_HOPS: Final = 9
"""90 ms: the longest swing that is seen. Of 90, 150 and 310 ms it told true lags from chance ones best."""
MODULATIONS: Final = 3
"""Half a swing, a whole one and one and a half within `MODULATION_HOPS`."""
HABIT_HOPS: Final = 301
"""3 s."""

_FFT_SAMPLES: Final = 512
_HOP_SAMPLES: Final = 160
_CHUNK_HOPS: Final = 3_000
_POWER_FLOOR: Final = 1e-11
"""The quantisation noise of 16 bits."""
_SMALLEST_SWING: Final = 0.05
_WORKERS: Final = 2


class SpectralEmbedder:
    """Modulation spectra of 20 mel bands, 100 hops/s; runs anywhere, on numpy and scipy alone."""

    name = "spectral"
    device = "cpu"
    precision = "float32"
    dims = BANDS * MODULATIONS
    geometry = Geometry(
        hop_samples=_HOP_SAMPLES,
        window_samples=_FFT_SAMPLES,
        first_centre=_FFT_SAMPLES / 2,
        margin_hops=MODULATION_HOPS // 2 + HABIT_HOPS // 2,
    )

    def embed(self, samples: NDArray[np.float32], *, on_progress: OnProgress = ignore) -> NDArray[np.float32]:
        """Embed a recording; see `Embedder.embed`.

        Column `MODULATIONS * b + m` is swing m of band b, in units of the band's usual swing. Silence gives zeros.
        Costs about a thousandth of the recording's length on one core.
        """
        hops = self.geometry.hops(samples.size)
        out = np.zeros((hops, self.dims), np.float32)
        for piece in chunks(samples.size, self.geometry, chunk_hops=_CHUNK_HOPS):
            out[piece.hops] = _modulations(_log_mel(samples[piece.samples]))[piece.keep]
            on_progress(piece.hops.stop / hops)
        return out


def _mel_filters() -> NDArray[np.float32]:
    """Triangles that are even on the mel scale, each of unit sum [shape=(n_bins, BANDS), float32]."""
    lowest, highest = 2595.0 * np.log10(1.0 + np.array([LOWEST_HZ, HIGHEST_HZ]) / 700.0)
    edges = np.linspace(lowest, highest, BANDS + 2)
    hz = np.arange(_FFT_SAMPLES // 2 + 1) * (SAMPLE_RATE_HZ / _FFT_SAMPLES)
    bins = 2595.0 * np.log10(1.0 + hz / 700.0)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters = np.clip(np.minimum(rising, falling), 0.0, None)
    return np.asarray(filters / filters.sum(axis=0), np.float32)


_WINDOW: Final = (np.hanning(_FFT_SAMPLES + 1)[:-1] / np.sqrt(_FFT_SAMPLES)).astype(np.float32)
_FILTERS: Final = _mel_filters()


def _swings() -> NDArray[np.float32]:
    """Tapered cosines of 1 to MODULATIONS half-turns, without mean [shape=(MODULATIONS, n), float32]."""
    at = np.arange(MODULATION_HOPS) + 0.5
    cosines = np.cos(np.pi * np.arange(1, MODULATIONS + 1)[:, None] * at / MODULATION_HOPS)
    tapered = cosines * np.hanning(MODULATION_HOPS + 2)[1:-1]
    tapered -= tapered.mean(axis=1, keepdims=True)
    return np.asarray(tapered / np.linalg.norm(tapered, axis=1, keepdims=True), np.float32)


_SWINGS: Final = _swings()


def _log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log mean powers above the floor [shape=(n_hops, BANDS), float32, nepers]."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FFT_SAMPLES)[::_HOP_SAMPLES]
    spectrum = scipy.fft.rfft(frames * _WINDOW, axis=1, workers=_WORKERS)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return np.asarray(np.log1p(power @ _FILTERS / np.float32(_POWER_FLOOR)), np.float32)


def _modulations(log_mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Swings of each band around each hop against its habit [shape=(n_hops, BANDS * MODULATIONS), float32]."""
    reach = MODULATION_HOPS // 2
    padded = np.pad(log_mel, ((reach, reach), (0, 0)), mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, MODULATION_HOPS, axis=0)
    swings = np.asarray(around @ _SWINGS.T, np.float32)
    habit = np.sqrt(_local_mean(np.square(swings).mean(axis=2)))
    weighed = swings / np.maximum(habit, np.float32(_SMALLEST_SWING))[:, :, None]
    return np.asarray(weighed.reshape(len(swings), -1), np.float32)


def _local_mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over HABIT_HOPS around each hop; at the ends over those that exist."""
    total = np.zeros((len(values) + 1, values.shape[1]), np.float64)
    np.cumsum(values, axis=0, out=total[1:])
    at = np.arange(len(values))
    first, last = np.maximum(at - HABIT_HOPS // 2, 0), np.minimum(at + HABIT_HOPS // 2 + 1, len(values))
    return np.asarray((total[last] - total[first]) / (last - first)[:, None], np.float32)
