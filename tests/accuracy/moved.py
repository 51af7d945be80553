"""Families in which time is not one shift, or there is no match at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.accuracy.cases import Case, ground, pick_seconds, simple
from tests.accuracy.level import SR, db, rms
from tests.accuracy.programme import build_programme, split_library
from tests.accuracy.sources import DUB_LANGUAGES
from tests.accuracy.timing import cut, time_stretch, varispeed, wander

SPEEDS = (("25/24", 25 / 24), ("25/23.976", 25 * 1001 / 24000), ("24/23.976", 1.001))
STRETCHER_BIAS_SECONDS = 0.0613
"""Rubberband's own, for each unit of speed, measured with band envelopes over 24 cases: 0.5 ms are left without it."""


def _speed_of(i: int) -> tuple[str, float, bool]:
    """Name and ratio of the i-th speed, and whether the pitch is kept."""
    name, ratio = SPEEDS[i % 3]
    keep_pitch = (i // 3) % 2 == 1
    inverse = (i // 6) % 2 == 1
    ratio, name = (1 / ratio, f"1/({name})") if inverse else (ratio, name)
    return f"{name}{'_pitch_kept' if keep_pitch else ''}", ratio, keep_pitch


def _played(source: np.ndarray, ratio: float, keep_pitch: bool) -> tuple[np.ndarray, float]:
    """Play faster by a ratio; the audio, and what that adds to its offset."""
    if keep_pitch:
        return time_stretch(source, ratio), -STRETCHER_BIAS_SECONDS * (ratio - 1)
    return varispeed(source, ratio), 0.0


def speed(lib, rng, i, scale):
    name, ratio, keep_pitch = _speed_of(i)
    seconds = 600.0 if scale == "full" and i % 6 == 2 else None
    g = ground(lib, rng, scale, dubbed=(i % 2 == 1), level=-6.0, largest=10.0, room=12.0, seconds=seconds)
    dub, late = _played(g.dub(seconds=g.seconds), ratio, keep_pitch)
    return Case(
        g.master(),
        dub,
        g.offset + late,
        name,
        speed=ratio,
        languages=("en", g.lang),
        me_level_db=g.level,
        tolerance=0.001 if keep_pitch else 2e-4,
    )


def drift(lib, rng, i, scale):
    ppm = (50.0, -100.0, 200.0, -20.0)[i % 4]
    seconds = 600.0 if scale == "full" and i % 3 == 2 else None
    g = ground(lib, rng, scale, dubbed=i % 2 == 1, level=-6.0, largest=10.0, seconds=seconds)
    ratio = 1 + ppm * 1e-6
    return Case(
        g.master(),
        varispeed(g.dub(), ratio),
        g.offset,
        f"{ppm:+.0f}ppm",
        speed=ratio,
        languages=("en", g.lang),
        me_level_db=g.level,
        tolerance=2e-4,
    )


def wow(lib, rng, i, scale):
    """A dub that wanders slowly about its offset, by milliseconds: no edit, and one speed."""
    reach = (0.004, 0.010, 0.007)[i % 3]
    period = float(rng.uniform(20, 60))
    g = ground(lib, rng, scale, dubbed=i % 2 == 1, level=-6.0, largest=10.0)
    return simple(g, f"{reach * 1e3:.0f}ms_in_{period:.0f}s", dub=wander(g.dub(), reach, period), tolerance=reach)


def _interruption(lib, rng, kind: str, seconds: float) -> np.ndarray:
    n = round(seconds * SR)
    if kind == "black":
        return np.zeros((n, 2), np.float32)
    other = build_programme(lib, rng, seconds, ("en",), -3.0 if kind == "ident" else -9.0)
    return other.mix("en")[:n]


def edits(lib, rng, i, scale):
    """Inserts, cuts and replacements: the offset is piecewise constant; segments are in dub time.

    After an insert, a segment starts where the programme resumes.  A replaced stretch lies between two segments of
    the same offset.
    """
    kind = ("insert_black", "cut", "insert_commercial", "cut_and_insert", "insert_ident", "two_cuts", "replace")[i % 7]
    lib, others = split_library(lib, rng)
    seconds = pick_seconds(rng, scale, 120.0, 180.0) if i % 4 or scale == "small" else 600.0
    g = ground(lib, rng, scale, dubbed=i % 2 == 1, level=-6.0, largest=3.0, seconds=seconds)
    source = g.dub()
    spots = sorted(float(x) for x in rng.uniform([0.25, 0.6], [0.45, 0.75]) * g.seconds)
    plan = {"cut_and_insert": ("cut", "black"), "two_cuts": ("cut", "cut")}.get(kind, (kind.replace("insert_", ""),))
    spots = spots[: len(plan)]
    pieces, segments, taken, written = [], [], 0, 0
    for spot, action in zip(spots, plan, strict=False):
        stop = int(spot * SR)
        pieces.append(source[taken:stop])
        segments.append((written, written + stop - taken, (taken - written) / SR + g.offset))
        written += stop - taken
        taken = stop
        if action == "cut":
            taken += int(rng.uniform(2, 12) * SR)
        else:
            filler = _interruption(
                others, rng, "commercial" if action == "replace" else action, float(rng.uniform(3, 12))
            )
            pieces.append(filler)
            written += filler.shape[0]
            taken += filler.shape[0] if action == "replace" else 0
    pieces.append(source[taken:])
    segments.append((written, written + source.shape[0] - taken, (taken - written) / SR + g.offset))
    return Case(
        g.master(),
        np.concatenate(pieces),
        segments[0][2],
        kind,
        languages=("en", g.lang),
        me_level_db=g.level,
        segments=[{"dub_start": a / SR, "dub_end": b / SR, "offset": o, "speed": 1.0} for a, b, o in segments],
    )


def edits_speed(lib, rng, i, scale):
    """An edited dub as a whole at another speed."""
    name, ratio, keep_pitch = _speed_of(i)
    case = edits(lib, rng, i, scale)
    dub, late = _played(case.dub, ratio, keep_pitch)
    segments = [
        {
            "dub_start": s["dub_start"] / ratio,
            "dub_end": s["dub_end"] / ratio,
            "offset": s["offset"] + late,
            "speed": ratio,
        }
        for s in case.segments
    ]
    return replace(
        case,
        dub=dub,
        offset=segments[0]["offset"],
        variant=f"{case.variant}_{name}",
        speed=ratio,
        segments=segments,
        tolerance=0.001 if keep_pitch else 2e-4,
    )


def _leader(rng) -> np.ndarray:
    """Line-up tone, black, and a one-frame 2-pop two seconds before the programme."""
    tone_len, black = float(rng.uniform(5, 25)), 5.0
    n = int((tone_len + black) * SR)
    t = np.arange(n) / SR
    tone = 0.1 * np.sin(2 * np.pi * 1000 * t)
    pop = n - 2 * SR
    mask = (t < tone_len) | ((np.arange(n) >= pop) & (np.arange(n) < pop + SR // 25))
    return np.repeat((tone * mask).astype(np.float32)[:, None], 2, axis=1)


def leader(lib, rng, i, scale):
    g = ground(lib, rng, scale, dubbed=i % 4 in (1, 2), level=-6.0, largest=2.0)
    head, on_dub = _leader(rng), i % 2 == 0
    master, dub, seconds = g.master(), g.dub(), head.shape[0] / SR
    offset = g.offset - seconds if on_dub else g.offset + seconds
    if on_dub:
        dub = np.concatenate([head, dub])
    else:
        master = np.concatenate([head, master])
    return Case(master, dub, offset, "on_dub" if on_dub else "on_master", languages=("en", g.lang), me_level_db=g.level)


def partial(lib, rng, i, scale):
    kind = ("second_half", "excerpt_30s")[i % 2]
    seconds = None if kind == "second_half" else (300.0 if scale == "small" else 1200.0)
    seconds = round((seconds or pick_seconds(rng, scale, 100, 180)) * SR) / SR
    lang = str(rng.choice(DUB_LANGUAGES)) if (i // 2) % 2 else "en"
    programme = build_programme(lib, rng, seconds, (lang,), -6.0)
    at = float(seconds / 2 + rng.uniform(-1, 1)) if kind == "second_half" else float(rng.uniform(5, seconds - 35))
    length = seconds - at if kind == "second_half" else 30.0
    return Case(
        programme.mix("en"), cut(programme.mix(lang), at, length), at, kind, languages=("en", lang), me_level_db=-6.0
    )


def repetitive(lib, rng, i, scale):
    g = ground(lib, rng, scale, dubbed=i % 2 == 0, level=-6.0, largest=20.0, loop=True)
    return simple(g, "looped_bar", notes="only sparse effects (and same-language dialogue) tell the repeats apart")


def unrelated(lib, rng, i, scale):
    """Two programmes without a common track, effect, ambience or line; the same voice talents."""
    seconds = pick_seconds(rng, scale)
    one_lib, two_lib = split_library(lib, rng)
    lang = str(rng.choice(DUB_LANGUAGES)) if i % 2 else "en"
    one = build_programme(one_lib, rng, seconds, ("en",), -9.0)
    two = build_programme(two_lib, rng, seconds * float(rng.uniform(0.8, 1.2)), (lang,), -9.0)
    return Case(
        one.mix("en"), two.mix(lang), None, "other_programme", match=False, languages=("en", lang), me_level_db=-9.0
    )


def silence(lib, rng, i, scale):
    kind = ("near_silence", "dub_silent", "mostly_silent", "both_silent")[i % 4]
    g = ground(lib, rng, scale, dubbed=False, largest=10.0)
    master, dub = g.master(), g.dub()
    pcm24 = {"subtype": "PCM_24"}
    if kind == "near_silence":
        quiet = np.float32(db(-62))
        master = master * quiet + rng.normal(0, db(-96), master.shape).astype(np.float32)
        dub = dub * quiet + rng.normal(0, db(-96), dub.shape).astype(np.float32)
        return Case(master, dub, g.offset, kind, me_level_db=g.level, master_format=pcm24, dub_format=pcm24)
    if kind == "mostly_silent":
        hole = np.zeros(g.programme.me.shape[0], np.float32)
        at = g.start + 0.5 * g.seconds
        hole[int(at * SR) : int((at + 5) * SR)] = 1
        world = g.programme.mix("en") * hole[:, None]
        return Case(
            cut(world, g.start, g.seconds),
            cut(world, g.start + g.offset, g.seconds),
            g.offset,
            kind,
            me_level_db=g.level,
        )
    return Case(master * np.float32(kind != "both_silent"), dub * 0, None, kind, match=False)


def short(lib, rng, i, scale):
    seconds = (2.0, 5.0, 3.0)[i % 3]
    for _ in range(10):
        g = ground(lib, rng, scale, dubbed=i % 2 == 1, level=0.0, seconds=seconds, largest=0.2)
        if rms(g.programme.me) > 0.01:
            break
    return simple(g, f"{seconds:.0f}s")


def long(lib, rng, i, scale):
    """Mono, to keep two hours within memory."""
    minutes = (45, 120, 90)[i % 3]
    g = ground(lib, rng, scale, dubbed=True, level=-9.0, seconds=minutes * 60.0, largest=60.0)
    g.programme.me = g.programme.me.mean(axis=1, keepdims=True)
    return simple(g, f"{minutes}min", tolerance=5e-5)
