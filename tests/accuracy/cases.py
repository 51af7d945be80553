"""A case of the corpus: a pair of files to write, with its truth."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from tests.accuracy.level import SR
from tests.accuracy.programme import Programme, build_programme
from tests.accuracy.sources import DUB_LANGUAGES
from tests.accuracy.timing import cut


@dataclass
class Case:
    """A pair to write, with its truth.  Audio arrays are at SR unless a rate is given."""

    master: np.ndarray
    dub: np.ndarray
    offset: float | None
    variant: str
    speed: float = 1.0
    segments: list[dict] | None = None
    match: bool = True
    languages: tuple[str, str] = ("en", "en")
    me_level_db: float | None = None
    tolerance: float = 0.0005
    master_format: dict = field(default_factory=dict)
    dub_format: dict = field(default_factory=dict)
    notes: str = ""


def pick_offset(rng, seconds: float, largest: float = 60.0) -> float:
    """Either sign, never on the sample grid: 3 in 4 log-uniform over 0.1 s .. the limit, the
    rest over 0.3 ms .. 100 ms (few, or a tool that always answers 0 would look good)."""
    top = max(min(largest, 0.4 * seconds), 0.15)
    low, high = (0.1, top) if rng.random() < 0.75 else (3e-4, 0.1)
    return float(np.exp(rng.uniform(np.log(low), np.log(high))) * rng.choice([-1, 1]))


def pick_seconds(rng, scale: str, lo=60.0, hi=180.0) -> float:
    return float(rng.uniform(lo, min(hi, 120.0)) if scale == "small" else rng.uniform(lo, hi))


@dataclass
class Ground:
    """A programme ready to be cut: master is world[start : start + seconds]."""

    programme: Programme
    start: float
    seconds: float
    offset: float
    lang: str
    level: float
    padded: bool

    def world(self, lang: str) -> np.ndarray:
        """The mix; when padded, nothing exists outside the master's own span."""
        mixed = self.programme.mix(lang)
        if self.padded:
            mixed[: int(self.start * SR)] = 0
            mixed[int((self.start + self.seconds) * SR) :] = 0
        return mixed

    def master(self) -> np.ndarray:
        return cut(self.programme.mix("en"), self.start, self.seconds)

    def dub(self, seconds: float | None = None, speed: float = 1.0) -> np.ndarray:
        wanted = (seconds or self.seconds) * speed
        return cut(self.world(self.lang), self.start + self.offset, wanted)


def ground(
    lib, rng, scale, dubbed: bool, level: float = -9.0, seconds=None, largest=60.0, room=0.0, **kwargs
) -> Ground:
    seconds = seconds or pick_seconds(rng, scale)
    seconds = round(seconds * SR) / SR
    offset = pick_offset(rng, seconds, largest)
    lang = str(rng.choice(DUB_LANGUAGES)) if dubbed else "en"
    start = math.ceil(max(0.0, -offset) + 1.0)
    total = start + seconds + max(offset, 0.0) + room + 2.0
    programme = build_programme(lib, rng, total, (lang,), level, **kwargs)
    return Ground(programme, float(start), seconds, offset, lang, level, bool(rng.random() < 0.5))


def simple(g: Ground, variant: str, dub: np.ndarray | None = None, **kwargs) -> Case:
    dub = g.dub() if dub is None else dub
    return Case(g.master(), dub, g.offset, variant, languages=("en", g.lang), me_level_db=g.level, **kwargs)
