"""Lay out a programme: music cues, effects, and dialogue in two languages over the same bed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from handlers.cli.demo_audio.recordings import Recordings
from handlers.cli.demo_audio.timing import RATE_HZ
from sync_core.media.small_files import Stereo

_Clip = TypeVar("_Clip")

_BED_LEVEL = 0.6
"""Of music against dialogue, as an amplitude: a little over 4 dB below."""
_PEAK = 0.9


@dataclass(frozen=True, slots=True)
class Programme:
    """Two mixes of one programme: other dialogue, the same music and effects, sample for sample."""

    master: Stereo
    dub: Stereo


def build_programme(recordings: Recordings, *, seconds: float, seed: int, half: int | None = None) -> Programme:
    """Render a programme; the same arguments give the same samples.

    Parameters
    ----------
    half
        0 or 1: use only every second clip of each kind, so that two programmes have nothing in common. None: use all.
    """
    rng = np.random.default_rng(seed)
    keep = slice(half, None, 2) if half is not None else slice(None)
    samples = int(seconds * RATE_HZ)
    bed = np.zeros((samples, 2), np.float32)
    _lay_music(bed, recordings.music[keep], rng)
    _lay_effects(bed, recordings.effects[keep], rng)
    master, dub = _lay_dialogue(samples, recordings.lines[keep], rng)
    return _mixed(bed * np.float32(_BED_LEVEL), master, dub)


def _mixed(bed: Stereo, *dialogues: Stereo) -> Programme:
    """Add the bed to each dialogue, all at one gain."""
    mixes = [bed + dialogue for dialogue in dialogues]
    gain = np.float32(_PEAK / max(float(np.abs(mix).max()) for mix in mixes))
    return Programme(*(mix * gain for mix in mixes))


def _lay_music(bed: Stereo, tunes: Sequence[Stereo], rng: np.random.Generator) -> None:
    """Lay cue after cue, each from somewhere in a tune, with fades and now and then a gap."""
    deck = _deck(tunes, rng)
    at = 0.0
    while at < bed.shape[0] / RATE_HZ:
        tune = next(deck)
        length = min(rng.uniform(6.0, 14.0), tune.shape[0] / RATE_HZ)
        start = rng.uniform(0.0, tune.shape[0] / RATE_HZ - length)
        cue = tune[int(start * RATE_HZ) : int((start + length) * RATE_HZ)]
        _add(bed, _faded(cue, seconds=rng.uniform(0.05, 1.0)), at)
        at += length - 0.5 + rng.choice([0.0, 0.0, 1.5])


def _lay_effects(bed: Stereo, effects: Sequence[Stereo], rng: np.random.Generator) -> None:
    deck = _deck(effects, rng)
    at = rng.exponential(2.0)
    while at < bed.shape[0] / RATE_HZ:
        pan = rng.uniform(0.3, 0.7)
        sides = np.array([2 * (1 - pan), 2 * pan], np.float32) * np.float32(rng.uniform(0.4, 1.4))
        _add(bed, next(deck) * sides, at)
        at += 0.2 + rng.exponential(2.0)


def _lay_dialogue(
    samples: int, lines: Sequence[tuple[Stereo, Stereo]], rng: np.random.Generator
) -> tuple[Stereo, Stereo]:
    """Speak the same lines at the same cues in both languages; the dub begins up to 80 ms later, as dubs do."""
    master, dub = np.zeros((samples, 2), np.float32), np.zeros((samples, 2), np.float32)
    deck = _deck(lines, rng)
    at = rng.uniform(0.2, 1.5)
    while at < samples / RATE_HZ:
        ours, theirs = next(deck)
        _add(master, ours, at)
        _add(dub, theirs, at + rng.uniform(0.0, 0.08))
        at += max(ours.shape[0], theirs.shape[0]) / RATE_HZ + rng.uniform(0.4, 2.0)
    return master, dub


def _deck(clips: Sequence[_Clip], rng: np.random.Generator) -> Iterator[_Clip]:
    """Deal clips in random order, each once before any comes again: repeats would make other offsets plausible."""
    while True:
        for index in rng.permutation(len(clips)):
            yield clips[index]


def _faded(clip: Stereo, *, seconds: float) -> Stereo:
    count = min(int(seconds * RATE_HZ), clip.shape[0] // 2)
    ramp = np.linspace(0.0, 1.0, count, dtype=np.float32)[:, None]
    faded = clip.copy()
    faded[:count] *= ramp
    faded[clip.shape[0] - count :] *= ramp[::-1]
    return faded


def _add(track: Stereo, clip: Stereo, at_seconds: float) -> None:
    """Mix a clip into a track; what hangs over the end is dropped."""
    first = int(at_seconds * RATE_HZ)
    part = track[first : first + clip.shape[0]]
    part += clip[: part.shape[0]]
