"""Programmes: a music-and-effects stem and one dialogue stem per language."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from scipy import signal

from tests.accuracy.level import BLOCK, SR, db, rms
from tests.accuracy.sources import Library, effect, read_excerpt


@dataclass
class Programme:
    """A rendered programme: the music-and-effects stem and one dialogue stem per language."""

    me: np.ndarray  # (n, 2)
    dialogue: dict[str, np.ndarray]  # language -> (n,)
    active: np.ndarray  # bool (n,), where English dialogue speaks

    @property
    def seconds(self) -> float:
        return self.me.shape[0] / SR

    def set_levels(self, me_level_db: float) -> None:
        """Put the M&E me_level_db below/above the dialogue, measured while English speaks."""
        bed = rms(self.me, self.active)
        for stem in self.dialogue.values():
            stem *= 0.1 / max(rms(stem, np.abs(stem) > 1e-4), 1e-9)
        self.me *= 0.1 * db(me_level_db) / max(bed, 1e-9)
        peak = max(self._peak(lang) for lang in self.dialogue)
        scale = min(0.9 / max(peak, 1e-9), 2.0)
        self.me *= scale
        for stem in self.dialogue.values():
            stem *= scale

    def _peak(self, lang: str) -> float:
        peak = 0.0
        for i in range(0, self.me.shape[0], BLOCK):
            mixed = self.me[i : i + BLOCK] + self.dialogue[lang][i : i + BLOCK, None]
            peak = max(peak, float(np.abs(mixed).max()))
        return peak

    def mix(self, lang: str) -> np.ndarray:
        return self.me + self.dialogue[lang][:, None]

    def mix_51(self, lang: str) -> np.ndarray:
        """L R C LFE Ls Rs: dialogue in the centre, delayed and quieter M&E in the surrounds."""
        low = signal.sosfilt(signal.butter(4, 100, fs=SR, output="sos"), self.me.mean(axis=1))
        surround = np.roll(self.me, int(0.015 * SR), axis=0) * 0.5
        return np.column_stack([self.me, self.dialogue[lang], low, surround]).astype(np.float32)


def _fade(clip: np.ndarray, fade_in: float, fade_out: float) -> np.ndarray:
    a = min(int(fade_in * SR), clip.shape[0] // 2)
    b = min(int(fade_out * SR), clip.shape[0] // 2)
    clip = clip.copy()
    if a:
        clip[:a] *= np.sin(np.linspace(0, np.pi / 2, a, dtype=np.float32))[:, None] ** 2
    if b:
        clip[-b:] *= np.cos(np.linspace(0, np.pi / 2, b, dtype=np.float32))[:, None] ** 2
    return clip


def _add(track: np.ndarray, clip: np.ndarray, at: float) -> None:
    i = int(at * SR)
    n = min(clip.shape[0], track.shape[0] - i)
    if n > 0:
        track[i : i + n] += clip[:n]


def _lay_music(bed: np.ndarray, tracks: list[Path], rng) -> None:
    seconds = bed.shape[0] / SR
    at = float(rng.uniform(0, 2))
    while at < seconds:
        length = float(rng.uniform(12, 45))
        path = tracks[rng.integers(len(tracks))]
        room = max(sf.info(str(path)).duration - length - 1, 0)
        clip = read_excerpt(path, float(rng.uniform(0, room)), length)
        level = rms(clip)
        if level < 1e-3:
            continue
        clip *= 0.1 / level
        _add(bed, _fade(clip, rng.uniform(0.02, 2), rng.uniform(0.3, 3)), at)
        gap = rng.uniform(1, 7) if rng.random() < 0.35 else rng.uniform(-2.5, 0.5)
        at += max(length + gap, 5.0)


def _lay_loop(bed: np.ndarray, lib: Library, rng) -> float:
    """Fill the bed with one bar repeated exactly; returns the bar's length in seconds."""
    path = lib.loops[rng.integers(len(lib.loops))]
    bar = float(rng.uniform(1.5, 6.0))
    total = sf.info(str(path)).duration
    for _ in range(20):
        clip = read_excerpt(path, float(rng.uniform(0, max(total - bar - 1, 0))), bar)
        if rms(clip) > 1e-2:
            break
    clip = _fade(clip * (0.1 / max(rms(clip), 1e-6)), 0.005, 0.005)
    repeats = math.ceil(bed.shape[0] / clip.shape[0])
    bed += np.tile(clip, (repeats, 1))[: bed.shape[0]]
    return clip.shape[0] / SR


def _lay_effects(bed: np.ndarray, effects: list[Path], rng, mean_gap: float) -> None:
    at = float(rng.exponential(mean_gap))
    while at < bed.shape[0] / SR:
        clip = effect(effects[rng.integers(len(effects))])
        level = rms(clip)
        if level > 1e-4:
            pan = float(rng.uniform(0.2, 0.8))
            gain = 0.1 * db(rng.uniform(-14, 6)) / level
            _add(bed, clip * np.float32(gain) * np.array([1 - pan, pan], np.float32) * 1.4, at)
        at += float(rng.exponential(mean_gap)) + 0.05


def _lay_ambience(bed: np.ndarray, lib: Library, rng) -> None:
    """Tiles of an ambience, each begun elsewhere in it, so that no lag but the true one repeats."""
    path = lib.ambience[rng.integers(len(lib.ambience))]
    whole = read_excerpt(path, 0, 30)
    whole *= 0.1 * db(rng.uniform(-34, -18)) / max(rms(whole), 1e-5)
    at = 0.0
    while at < bed.shape[0] / SR:
        tile = np.roll(whole, -int(rng.integers(whole.shape[0])), axis=0)[: int(rng.uniform(0.5, 1.0) * whole.shape[0])]
        _add(bed, _fade(tile, 0.5, 0.5), at)
        at += max(tile.shape[0] / SR - 0.5, 0.5)


def _lay_dialogue(n: int, lib: Library, langs, rng) -> tuple[dict, np.ndarray]:
    """The same lines at the same cue times in every language; durations differ naturally."""
    stems = {lang: np.zeros(n, np.float32) for lang in langs}
    active = np.zeros(n, bool)
    at = float(rng.uniform(0.3, 4))
    while at < n / SR:
        line = [lib.prompt_ids[rng.integers(len(lib.prompt_ids))] for _ in range(rng.integers(1, 4))]
        pause = float(rng.uniform(0.12, 0.45))
        jitter = {lang: 0.0 if lang == "en" else float(rng.normal(0, 0.05)) for lang in langs}
        end = at
        for lang in langs:
            cursor = max(at + jitter[lang], 0.0)
            for name in line:
                clip = soxr.resample(lib.prompts[lang][name], 16_000, SR).astype(np.float32)
                _add(stems[lang], clip * (0.1 / max(rms(clip), 1e-6)), cursor)
                if lang == "en":
                    active[int(cursor * SR) : int(cursor * SR) + clip.size] = True
                cursor += clip.size / SR + pause
            end = max(end, cursor)
        at = end + 0.3 + float(rng.exponential(2.5))
    return stems, active


def _automate(bed: np.ndarray, active: np.ndarray, rng) -> None:
    """Ride the bed with slow fader moves, and duck it under the dialogue."""
    n = bed.shape[0]
    knots = np.arange(0, n / SR + 12, 6.0)
    moves = rng.uniform(-5, 3, knots.size)
    duck_db = float(rng.uniform(0, 9))
    grid = SR // 100
    kernel = np.hanning(61)
    duck = signal.fftconvolve(active[::grid].astype(np.float64), kernel / kernel.sum(), mode="same")
    ticks = np.arange(duck.size) * grid
    for i in range(0, n, BLOCK):
        at = np.arange(i, min(i + BLOCK, n))
        gain_db = np.interp(at / SR, knots, moves) - duck_db * np.interp(at, ticks, duck)
        bed[i : i + BLOCK] *= (10 ** (gain_db / 20)).astype(np.float32)[:, None]


def build_programme(
    lib: Library, rng, seconds: float, langs=("en",), me_level_db=-9.0, loop=False, effects=True
) -> Programme:
    n = round(seconds * SR)
    bed = np.zeros((n, 2), np.float32)
    if loop:
        _lay_loop(bed, lib, rng)
        if effects:
            _lay_effects(bed, lib.effects, rng, mean_gap=12.0)
    else:
        _lay_music(bed, lib.music, rng)
        _lay_effects(bed, lib.effects, rng, mean_gap=float(rng.uniform(2, 6)))
        if rng.random() < 0.7:
            _lay_ambience(bed, lib, rng)
    dialogue, active = _lay_dialogue(n, lib, dict.fromkeys(("en", *langs)), rng)
    if not loop:
        _automate(bed, active, rng)
    programme = Programme(bed, dialogue, active)
    programme.set_levels(me_level_db)
    return programme


def split_library(lib: Library, rng) -> tuple[Library, Library]:
    """Two libraries without a common track, effect, ambience or line; the same voice talents."""
    one, two = copy.copy(lib), copy.copy(lib)
    for pool in ("music", "effects", "ambience", "prompt_ids"):
        items = getattr(lib, pool)
        shuffled = [items[k] for k in rng.permutation(len(items))]
        setattr(one, pool, shuffled[::2])
        setattr(two, pool, shuffled[1::2])
    return one, two
