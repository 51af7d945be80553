"""Clips made up from sines and noise, for machines where no recordings can be had.

Speech is a row of syllables: harmonics of a gliding voice under three formants, with hisses between. Music is plucked
chords that never repeat exactly. Effects are bursts and sweeps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handlers.cli.demo_audio.recordings import Recordings, levelled
from handlers.cli.demo_audio.timing import RATE_HZ
from sync_core.media.small_files import Stereo

_SEED = 20_250_828
_VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (530, 1840, 2480), (570, 840, 2410), (300, 870, 2240))
"""First three formants of five vowels."""
_SCALE_HZ = tuple(110.0 * 2 ** (step / 12) for step in (0, 2, 4, 5, 7, 9, 11, 12, 14, 16, 17, 19))
_MASTER_VOICE_HZ, _DUB_VOICE_HZ = 118.0, 196.0

_Mono = NDArray[np.float64]


def synthesise(*, reason: str) -> Recordings:
    """Make a set of clips, always the same; `reason` says, as the end of a sentence, why they are not recordings."""
    rng = np.random.default_rng(_SEED)
    lines = tuple((_line(rng, _MASTER_VOICE_HZ), _line(rng, _DUB_VOICE_HZ)) for _ in range(16))
    plucks = [_pluck(rng, pitch * octave) for pitch in _SCALE_HZ for octave in (1.0, 2.0, 4.0)]
    music = tuple(_tune(rng, plucks, seconds=30.0) for _ in range(10))
    effects = tuple(_effect(rng) for _ in range(16))
    return Recordings(lines, music, effects, f"Synthesised, not recorded, because {reason}.")


def _line(rng: np.random.Generator, voice_hz: float) -> Stereo:
    parts = [part for _ in range(rng.integers(8, 18)) for part in (_syllable(rng, voice_hz), _hiss(rng))]
    return _stereo(np.concatenate(parts))


def _syllable(rng: np.random.Generator, voice_hz: float) -> _Mono:
    t = _times(rng.uniform(0.1, 0.26))
    pitch = voice_hz * rng.uniform(0.85, 1.25) * (1.0 + rng.uniform(-0.6, 0.3) * t)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    formants = np.array(_VOWELS_HZ[int(rng.integers(len(_VOWELS_HZ)))]) * rng.uniform(0.9, 1.1)
    harmonics = np.arange(1, int(3500 / pitch.max()))
    gains = np.exp(-(((harmonics * voice_hz)[:, None] - formants) ** 2) / (2 * 140.0**2)) @ np.array([1.0, 0.5, 0.25])
    voiced = sum((gain + 0.02 / k) * np.sin(k * phase) for k, gain in zip(harmonics, gains, strict=True))
    return np.asarray(voiced * np.sqrt(np.hanning(t.size)))


def _hiss(rng: np.random.Generator) -> _Mono:
    """Make the consonant or the pause between two syllables."""
    t = _times(rng.uniform(0.03, 0.12))
    loudness = rng.choice([0.0, 0.02, 0.08])
    return np.asarray(loudness * np.diff(rng.standard_normal(t.size), prepend=0.0) * np.hanning(t.size))


def _tune(rng: np.random.Generator, plucks: Sequence[_Mono], *, seconds: float) -> Stereo:
    """Pluck notes at irregular times."""
    tune = np.zeros(int(seconds * RATE_HZ))
    at = 0.0
    while at < seconds - 0.1:
        note = plucks[int(rng.integers(len(plucks)))] * rng.uniform(0.3, 1.0)
        first = int(at * RATE_HZ)
        part = tune[first : first + note.size]
        part += note[: part.size]
        at += rng.uniform(0.08, 0.4)
    return _stereo(tune)


def _pluck(rng: np.random.Generator, pitch_hz: float) -> _Mono:
    t = _times(1.2)
    partials = [
        np.exp(-t * (2.0 + k)) / k * np.sin(2 * np.pi * k * pitch_hz * t + rng.uniform(0, 2 * np.pi))
        for k in range(1, 7)
    ]
    attack, release = np.minimum(t / 0.004, 1.0), np.minimum((t[-1] - t) / 0.05, 1.0)
    return np.asarray(np.sum(partials, axis=0) * attack * release)


def _effect(rng: np.random.Generator) -> Stereo:
    t = _times(rng.uniform(0.25, 1.4))
    decay = np.exp(-t * rng.uniform(3.0, 12.0)) * np.minimum((t[-1] - t) / 0.02, 1.0)
    sweep = np.sin(2 * np.pi * (rng.uniform(200, 3000) * t + rng.uniform(-300, 1500) * t**2))
    burst = np.convolve(rng.standard_normal(t.size), np.hanning(rng.integers(3, 60)), mode="same")
    share = rng.uniform(0.1, 0.9)
    return _stereo(decay * (share * sweep + (1 - share) * burst / np.abs(burst).max()))


def _times(seconds: float) -> _Mono:
    return np.arange(int(seconds * RATE_HZ)) / RATE_HZ


def _stereo(clip: _Mono) -> Stereo:
    return levelled(np.repeat(clip[:, None], 2, axis=1).astype(np.float32))
