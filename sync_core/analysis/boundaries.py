"""Place the joins between segments to a few milliseconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import fourier
from sync_core.analysis.fit import Fit
from sync_core.analysis.track import Track

_WINDOW_SAMPLES = 512
STEP_SAMPLES = 80
_LOWEST_BIN, _HIGHEST_BIN = 4, 230
_DOUBT = 0.045
_QUIETEST = 3e-5
_TAPS = 16
_WINDOW = np.hanning(_WINDOW_SAMPLES + 1)[:-1].astype(np.float32)


@dataclass(frozen=True, slots=True)
class Steps:
    """How well the dub agrees with a line, step by step.

    Attributes
    ----------
    agreement : [shape=(n_steps,), float64]
        About 0 where the dub does not lie on the line.
    doubt : [shape=(n_steps,), float64]
        What agreement has to exceed to speak for the line: a small constant where sound is expected, 0 in silence.
    """

    agreement: NDArray[np.float64]
    doubt: NDArray[np.float64]

    @property
    def gain(self) -> NDArray[np.float64]:
        """What each step adds if the dub is said to lie on the line, against lying on none."""
        return self.agreement - self.doubt

    def only(self, first: int, last: int) -> Steps:
        """Keep steps from `first` up to `last`; the others say nothing."""
        inside = np.zeros(self.agreement.size, bool)
        inside[first:last] = True
        return Steps(np.where(inside, self.agreement, 0.0), np.where(inside, self.doubt, 0.0))


def place_join(one: Steps, other: Steps, least_gap_steps: int) -> tuple[int, int]:
    """Find the step at which the dub leaves one line, and that at which it takes up the next.

    Parameters
    ----------
    one, other
        Agreement with the line before and the line after.
    least_gap_steps
        What lies closer together is one join: where the sum of the one before it and the other after it is highest.
        There the dub lies on either line, so that doubt, which speaks for neither, is left out.

    Returns
    -------
    end, start
        Edges of steps, 0 to n_steps; equal unless there is a gap.
    """
    end, start = place_end(one), place_start(other)
    if start - end < least_gap_steps:
        end = start = _last_argmax(_before(one.agreement) + _after(other.agreement))
    return end, start


def place_start(steps: Steps) -> int:
    """Find the edge of steps from which on the dub lies on a line."""
    return _last_argmax(_after(steps.gain))


def place_end(steps: Steps) -> int:
    """Find the edge of steps up to which the dub lies on a line."""
    return int(np.argmax(_before(steps.gain)))


def _before(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of all steps before each edge."""
    return np.concatenate([[0.0], np.cumsum(steps)])


def _after(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of all steps after each edge."""
    return np.concatenate([np.cumsum(steps[::-1])[::-1], [0.0]])


def _last_argmax(values: NDArray[np.float64]) -> int:
    return int(len(values) - 1 - np.argmax(values[::-1]))


def coherence_steps(master: Track, dub: Track, fit: Fit, first: int, last: int) -> Steps:
    """Whitened coherence of the dub with the master along a line, in steps of 5 ms.

    Returns
    -------
    steps
        Step k is about dub samples `first + 80 k` to `first + 80 k + 80`. Agreement is -1 to 1; where the master sounds
        it is doubted, so that sound without a counterpart speaks against the line; where it is silent both are 0.
    """
    count = max((last - first) // STEP_SAMPLES, 0)
    margin = (_WINDOW_SAMPLES - STEP_SAMPLES) // 2
    at = np.arange(first - margin, first - margin + count * STEP_SAMPLES + _WINDOW_SAMPLES)
    theirs = _spectra(_read(dub.samples, at.astype(np.float64)), count)
    ours = _spectra(_read(master.samples, fit.line.master_samples(at)), count)
    expected, size = np.abs(ours), np.abs(ours) * np.abs(theirs)
    both = size > _QUIETEST**2
    whitened = np.where(both, fit.sign * (ours * np.conj(theirs)).real / np.where(both, size, 1.0), 0.0)
    sounds = expected > _QUIETEST
    agreement = np.where(sounds, whitened, 0.0).mean(axis=1)
    return Steps(np.asarray(agreement, np.float64), np.asarray(_DOUBT * sounds.mean(axis=1), np.float64))


def _spectra(samples: NDArray[np.float32], count: int) -> NDArray[np.complex64]:
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW_SAMPLES)[::STEP_SAMPLES][:count]
    spectra = fourier.rfft(frames * _WINDOW)[:, _LOWEST_BIN:_HIGHEST_BIN]
    return np.asarray(spectra / np.float32(_WINDOW_SAMPLES / 2))


def _read(samples: NDArray[np.float32], at: NDArray[np.float64]) -> NDArray[np.float32]:
    """Interpolate at any positions by a windowed sinc; 0 outside [float32]."""
    whole = np.floor(at).astype(np.int64)
    low, high = int(whole[0]) - _TAPS, int(whole[-1]) + _TAPS + 1
    piece = np.zeros(high - low, np.float32)
    a, b = max(low, 0), min(high, samples.size)
    if b > a:
        piece[a - low : b - low] = samples[a:b]
    fraction = at - whole
    if not fraction.any():
        return piece[whole - low]
    taps = np.arange(-_TAPS // 2 + 1, _TAPS // 2 + 1)
    distance = taps - fraction[:, None]
    weights = np.sinc(distance) * np.cos(np.pi * distance / (_TAPS + 2)) ** 2
    return np.asarray((piece[(whole - low)[:, None] + taps] * weights).sum(axis=1), np.float32)
