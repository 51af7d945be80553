"""Place the joins between segments to a few milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import fourier
from sync_core.analysis.fit import Fit
from sync_core.analysis.parallel import on_two_cores
from sync_core.analysis.track import Track, padded

_WINDOW_SAMPLES = 512
STEP_SAMPLES = 80
_LOWEST_BIN, _HIGHEST_BIN = 4, 230
_DOUBT = 0.045
_LOUD_SHARE, _FAINT_SHARE = 0.2, 0.5
_LEAST_OF_DOUBT = 0.25
_CLEARLY_MORE = 1.5
"""As much as so many shortest gaps of sound without any agreement."""
_SILENT_SHARE = 0.25
"""Of what a gap would explain if it were all sound: a gap that explains less is silence."""
_QUIETEST = 3e-5
_BY_CHANCE = 1.5
"""Sums over a second in which neither line is heard differ by about so much."""
_LEAST_MARK = -1.0
"""Less likely than that, an edge is no splice."""
_TAPS = 16
_CHUNK_STEPS = 1_000
_NONE = (np.zeros(0), np.zeros(0))
_WINDOW = np.hanning(_WINDOW_SAMPLES + 1)[:-1].astype(np.float32)


@dataclass(frozen=True, slots=True)
class Steps:
    """How well the dub agrees with a line, step by step.

    Attributes
    ----------
    agreement : [shape=(n_steps,), float64]
        About 0 where the dub does not lie on the line.
    sounds : [shape=(n_steps,), float64]
        How much of the sound that agreement could come from is there, 0 to 1: 0 in silence.
    doubt
        What agreement has to exceed, where all sounds, to speak for a line that is heard neither well nor badly.
    """

    agreement: NDArray[np.float64]
    sounds: NDArray[np.float64]
    doubt: float

    def usual(self, first: int, last: int) -> float:
        """Mean agreement from step `first` up to `last`, where the dub is known to lie on the line."""
        some = self.agreement[max(first, 0) : max(last, 0)]
        return max(float(some.mean()), 0.0) if some.size else self.doubt / _FAINT_SHARE

    def gain(self, usual: float) -> NDArray[np.float64]:
        """Tell what each step adds if the dub is said to lie on the line, against lying on none."""
        return self.over(self.doubted(usual))

    def over(self, doubt: float) -> NDArray[np.float64]:
        """Tell by how much each step's agreement exceeds what its sound would have to give."""
        return self.agreement - doubt * self.sounds

    def doubted(self, usual: float) -> float:
        """Tell what agreement has to exceed, where all sounds, to speak for the line.

        Where a line is usually heard well, agreement that is hardly more than chance speaks against it; where it is
        usually faint, little agreement speaks for it.
        """
        faint = max(min(_FAINT_SHARE * usual, self.doubt), _LEAST_OF_DOUBT * self.doubt)
        return max(_LOUD_SHARE * usual, faint)

    def gain_beside_another(self, usual: float) -> NDArray[np.float64]:
        """Tell what each step adds where the dub lies on this line or on another one."""
        return self.over(_LOUD_SHARE * usual)

    def only(self, first: int, last: int) -> Steps:
        """Keep steps from `first` up to `last`; the others say nothing."""
        inside = np.zeros(self.agreement.size, bool)
        inside[max(first, 0) : max(last, 0)] = True
        return replace(self, agreement=np.where(inside, self.agreement, 0.0), sounds=np.where(inside, self.sounds, 0.0))


def place_join(
    one: Steps,
    other: Steps,
    usual: tuple[float, float],
    *,
    splices: Callable[[], NDArray[np.float64]],
    inserted_steps: int,
    least_gap_steps: int,
) -> tuple[int, int]:
    """Find the step at which the dub leaves one line, and that at which it takes up the next.

    Parameters
    ----------
    one, other
        Agreement with the line before and the line after.
    usual
        Their usual agreement.
    splices
        Gives how likely the dub was spliced at each edge of steps, as `splices.marks` does [shape=(n_steps + 1,)].
    inserted_steps
        How much longer the dub is for the join, as the lines lie; below 0 if it leaves something out.
    least_gap_steps
        What lies closer together is one join, at which the dub leaves the one line for the other.

    Returns
    -------
    end, start
        Edges of steps, 0 to n_steps; equal unless there is a gap.

    Notes
    -----
    Where material is inserted and nothing of the master is lost, the gap is as long as the lines are apart. Any other
    length, which means that sound stands in place of some of the master's, is believed where it explains clearly more;
    so is a gap where nothing was inserted, since a silence of both sides may as well be the programme's. What neither
    line is heard in does not count when a gap of a given length is moved along. Where a voice hides both lines, the
    marks of a splice at both ends of the gap tell its place; without them, between places that are about as good, the
    middle is least wrong.
    """
    doubt = (one.doubted(usual[0]) + other.doubted(usual[1])) / 2
    before, after = _before(one.gain(usual[0])), _after(other.gain(usual[1]))
    end, start = int(np.argmax(before)), _last_argmax(after)
    apart = before[end] + after[start]
    if start - end < least_gap_steps:
        return place_beside(one, other, usual)
    if inserted_steps < least_gap_steps and apart - (before + after).max() < _SILENT_SHARE * (start - end) * doubt:
        return place_beside(one, other, usual)
    if not least_gap_steps <= inserted_steps < before.size:
        return end, start
    loss = apart - _moved(before, after, inserted_steps).max()
    if loss >= _CLEARLY_MORE * least_gap_steps * doubt:
        return end, start
    heard = _moved(_before(one.over(doubt)), _after(other.over(doubt)), inserted_steps)
    at = _likeliest(heard, _marked(splices(), inserted_steps))
    return at, at + inserted_steps


def _marked(splices: NDArray[np.float64], gap_steps: int) -> NDArray[np.float64]:
    """Add up what speaks for a splice at both ends of a gap that begins at each edge; 0 unless both are marked."""
    first, last = splices[: splices.size - gap_steps], splices[gap_steps:]
    both = np.minimum(first, last) > _LEAST_MARK
    return np.where(both, np.maximum(first, 0.0) + np.maximum(last, 0.0), 0.0)


def _likeliest(heard: NDArray[np.float64], marked: NDArray[np.float64]) -> int:
    """Choose the edge that is best heard and marked; if it has no mark, the middle of those about as well heard."""
    best = int(np.argmax(heard + marked))
    if marked[best] > 0:
        return best
    about_as_good = np.flatnonzero(heard > heard.max() - _BY_CHANCE)
    return int(about_as_good[0] + about_as_good[-1]) // 2


def _moved(before: NDArray[np.float64], after: NDArray[np.float64], gap_steps: int) -> NDArray[np.float64]:
    """Add up what the lines explain where a gap of a given length begins at each edge."""
    return before[: before.size - gap_steps] + after[gap_steps:]


def place_beside(one: Steps, other: Steps, usual: tuple[float, float]) -> tuple[int, int]:
    """Place a join as `place_join` does, without a gap.

    What neither side is heard in goes to the line that is usually heard less.
    """
    at = _last_argmax(_before(one.gain_beside_another(usual[0])) + _after(other.gain_beside_another(usual[1])))
    return at, at


def place_start(steps: Steps, usual: float) -> int:
    """Find the edge of steps from which on the dub lies on a line, whose agreement is usually so high."""
    return _last_argmax(_after(steps.gain(usual)))


def place_end(steps: Steps, usual: float) -> int:
    """Find the edge of steps up to which the dub lies on a line, whose agreement is usually so high."""
    return int(np.argmax(_before(steps.gain(usual))))


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
        Step k is about dub samples `first + 80 k` to `first + 80 k + 80`. Agreement is -1 to 1. Sound of either side
        without a counterpart speaks against the line; where both are silent nothing does.
    """
    count = max((last - first) // STEP_SAMPLES, 0)
    chunks = ((first + k * STEP_SAMPLES, min(count - k, _CHUNK_STEPS)) for k in range(0, count, _CHUNK_STEPS))
    done = list(on_two_cores(lambda chunk: _agreement(master, dub, fit, *chunk), chunks))
    agreement, sounds = (np.concatenate([np.zeros(0), *parts]) for parts in zip(*done, strict=True)) if done else _NONE
    return Steps(agreement, sounds, _DOUBT)


def _agreement(
    master: Track, dub: Track, fit: Fit, first: int, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Agreement of some steps from a dub sample on, and how much of each sounds."""
    margin = (_WINDOW_SAMPLES - STEP_SAMPLES) // 2
    at = np.arange(first - margin, first - margin + count * STEP_SAMPLES + _WINDOW_SAMPLES)
    theirs = _spectra(_read(dub.samples, at.astype(np.float64)), count)
    ours = _spectra(_read(master.samples, fit.line.master_samples(at)), count)
    louder, size = np.maximum(np.abs(ours), np.abs(theirs)), np.abs(ours) * np.abs(theirs)
    both = size > _QUIETEST**2
    whitened = np.where(both, fit.sign * (ours * np.conj(theirs)).real / np.where(both, size, 1.0), 0.0)
    sounds = louder > _QUIETEST
    agreement = np.where(sounds, whitened, 0.0).mean(axis=1)
    return np.asarray(agreement, np.float64), np.asarray(sounds.mean(axis=1), np.float64)


def _spectra(samples: NDArray[np.float32], count: int) -> NDArray[np.complex64]:
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW_SAMPLES)[::STEP_SAMPLES][:count]
    spectra = fourier.rfft(frames * _WINDOW)[:, _LOWEST_BIN:_HIGHEST_BIN]
    return np.asarray(spectra / np.float32(_WINDOW_SAMPLES / 2))


def _read(samples: NDArray[np.float32], at: NDArray[np.float64]) -> NDArray[np.float32]:
    """Interpolate at any positions by a windowed sinc; 0 outside [float32]."""
    whole = np.floor(at).astype(np.int64)
    low, high = int(whole[0]) - _TAPS, int(whole[-1]) + _TAPS + 1
    piece = padded(samples, low, high - low)
    fraction = at - whole
    if not fraction.any():
        return piece[whole - low]
    taps = np.arange(-_TAPS // 2 + 1, _TAPS // 2 + 1)
    distance = taps - fraction[:, None]
    weights = np.sinc(distance) * np.cos(np.pi * distance / (_TAPS + 2)) ** 2
    return np.asarray((piece[(whole - low)[:, None] + taps] * weights).sum(axis=1), np.float32)
