"""Short pairs of files whose offset is known exactly, to show what the system finds and how near it is.

master_time = speed_ratio * dub_time + offset_seconds        a late dub has a negative offset
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from handlers.cli.demo_audio.packages import OnProgress, PackagesUnavailable, cache_folder
from handlers.cli.demo_audio.programme import Programme, build_programme
from handlers.cli.demo_audio.recordings import Recordings, load_recordings
from handlers.cli.demo_audio.synthesis import synthesise
from handlers.cli.demo_audio.timing import RATE_HZ, cut
from sync_core.domain.result import Verdict
from sync_core.media.small_files import Stereo, write_movie, write_wav

_MARGIN_SECONDS = 1.0
_FRAME_RATE = Fraction(25)


@dataclass(frozen=True, slots=True)
class Truth:
    """What the analysis should say of a pair; offset and drift are None where there is no match."""

    verdict: Verdict
    offset_seconds: float | None
    drift_ppm: float | None
    sentence: str


@dataclass(frozen=True, slots=True)
class DemoPair:
    title: str
    master: Path
    dub: Path
    truth: Truth


@dataclass(frozen=True, slots=True)
class DemoSet:
    """The pairs, and one sentence that says what they are made of and, if not of recordings, why."""

    pairs: tuple[DemoPair, ...]
    source: str


@dataclass(frozen=True, slots=True)
class _Recipe:
    """How a pair is made: its length and programme (`seed`), the dub's shift and speed, the container."""

    name: str
    title: str
    truth: Truth
    seed: int
    seconds: float = 30.0
    suffix: str = ".wav"


_RECIPES = (
    _Recipe(
        "late",
        "Italian dub, late",
        Truth(Verdict.OFFSET, -2.4563, 0.0, "the dub is 2.456 s late"),
        seed=1,
    ),
    _Recipe(
        "early",
        "Italian dub, early",
        Truth(Verdict.OFFSET, 0.7804, 0.0, "the dub is 0.780 s early"),
        seed=2,
    ),
    _Recipe(
        "in_sync",
        "Italian dub, in sync",
        Truth(Verdict.IN_SYNC, 0.0, 0.0, "the dub is in sync"),
        seed=3,
        seconds=24.0,
    ),
    _Recipe(
        "movie",
        "Italian dub, two .mov files",
        Truth(Verdict.OFFSET, -15.023, 0.0, "the dub is 15.023 s late"),
        seed=4,
        seconds=40.0,
        suffix=".mov",
    ),
    _Recipe(
        "drifting",
        "Italian dub, drifting",
        Truth(Verdict.DRIFT, -0.31057, 160.0, "the dub starts 0.311 s late and plays 160 ppm too fast"),
        seed=5,
        seconds=90.0,
    ),
    _Recipe(
        "unrelated",
        "Another programme",
        Truth(Verdict.NO_MATCH, None, None, "the two have nothing in common"),
        seed=6,
    ),
)


def make_demo_pairs(folder: Path, *, on_progress: OnProgress) -> DemoSet:
    """Write the demonstration's pairs into a folder, from recordings where they can be had, else synthesised.

    The same source gives the same bytes; each file appears whole. Takes seconds once the recordings are in the cache.
    """
    recordings = _recordings(on_progress)
    folder.mkdir(parents=True, exist_ok=True)
    pairs = []
    for recipe in _RECIPES:
        on_progress(f"Writing the pair “{recipe.title}”")
        pairs.append(_make(recipe, recordings, folder))
    return DemoSet(tuple(pairs), recordings.source)


def _recordings(on_progress: OnProgress) -> Recordings:
    try:
        return load_recordings(cache=cache_folder(), on_progress=on_progress)
    except PackagesUnavailable as error:
        on_progress(f"Synthesising, because {error}")
        return synthesise(reason=str(error))


def _make(recipe: _Recipe, recordings: Recordings, folder: Path) -> DemoPair:
    master, dub = (
        _unrelated(recipe, recordings) if recipe.truth.offset_seconds is None else _shifted(recipe, recordings)
    )
    pair = DemoPair(
        title=recipe.title,
        master=folder / f"{recipe.name}_master{recipe.suffix}",
        dub=folder / f"{recipe.name}_dub{recipe.suffix}",
        truth=recipe.truth,
    )
    _write(pair.master, master)
    _write(pair.dub, dub)
    return pair


def _shifted(recipe: _Recipe, recordings: Recordings) -> tuple[Stereo, Stereo]:
    """Cut master and dub out of one programme, so that the equation above holds between them."""
    offset = recipe.truth.offset_seconds or 0.0
    ratio = 1 + Fraction(recipe.truth.drift_ppm or 0.0).limit_denominator(1000) / 1_000_000
    start = math.ceil(_MARGIN_SECONDS + abs(offset))
    programme = build_programme(recordings, seconds=recipe.seconds + 2 * start, seed=recipe.seed)
    master = cut(programme.master, start_seconds=start, seconds=recipe.seconds)
    dub_seconds = recipe.seconds / float(ratio)
    return master, cut(programme.dub, start_seconds=start + offset, seconds=dub_seconds, speed_ratio=ratio)


def _unrelated(recipe: _Recipe, recordings: Recordings) -> tuple[Stereo, Stereo]:
    """Build two programmes that share no clip."""
    one, other = (_half(recipe, recordings, half) for half in (0, 1))
    return one.master, other.dub


def _half(recipe: _Recipe, recordings: Recordings, half: int) -> Programme:
    return build_programme(recordings, seconds=recipe.seconds, seed=recipe.seed + half, half=half)


def _write(path: Path, audio: Stereo) -> None:
    """Write a file under another name first, so that nobody reads a half."""
    unfinished = path.with_name(f".{path.name}.part")
    if path.suffix == ".mov":
        write_movie(unfinished, audio, rate_hz=RATE_HZ, frame_rate=_FRAME_RATE)
    else:
        write_wav(unfinished, audio, rate_hz=RATE_HZ)
    unfinished.replace(path)
