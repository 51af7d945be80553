"""Hard negatives: different programmes that share a part, and programmes of nothing but repeats."""

from __future__ import annotations

import numpy as np
import soundfile as sf

from tests.accuracy.cases import Case, ground, pick_seconds, simple
from tests.accuracy.level import SR, rms
from tests.accuracy.programme import Programme, build_programme, split_library
from tests.accuracy.sources import DUB_LANGUAGES, Library, read_excerpt
from tests.accuracy.timing import cut

_FADE = np.sin(np.linspace(0, np.pi / 2, SR // 10, dtype=np.float32))[:, None] ** 2


def _two_programmes(lib: Library, rng, scale: str) -> tuple[Programme, Programme, str]:
    """Two programmes without a common track, effect, ambience or line, and the language of the second."""
    seconds = pick_seconds(rng, scale)
    one_lib, two_lib = split_library(lib, rng)
    lang = str(rng.choice(DUB_LANGUAGES))
    one = build_programme(one_lib, rng, seconds, ("en",), -6.0)
    return one, build_programme(two_lib, rng, seconds * float(rng.uniform(0.8, 1.2)), (lang,), -6.0), lang


def _lay_common(programme: Programme, clip: np.ndarray, at: int, gain: float, keeps_dialogue: bool) -> None:
    """Put a clip in place of the music and effects, or of all sound, from sample `at` on."""
    span = slice(at, at + clip.shape[0])
    programme.me[span] = clip * np.float32(gain)
    if not keeps_dialogue:
        for stem in programme.dialogue.values():
            stem[span] = 0.0


def _within(programme: Programme, share: float, clip: np.ndarray) -> int:
    """Sample at a share of a programme, or so much earlier that a clip has room there."""
    return min(int(share * programme.me.shape[0]), programme.me.shape[0] - clip.shape[0])


def _common_part(lib: Library, rng, scale: str, seconds: float, variant: str, keeps_dialogue: bool) -> Case:
    one, two, lang = _two_programmes(lib, rng, scale)
    path = lib.music[rng.integers(len(lib.music))]
    room = sf.info(str(path)).duration - seconds - 1.0
    for _ in range(20):
        clip = read_excerpt(path, float(rng.uniform(0, room)), seconds)
        if rms(clip) > 1e-2:
            break
    fade = _FADE[: min(len(_FADE), clip.shape[0] // 4)]
    clip[: len(fade)] *= fade
    clip[-len(fade) :] *= fade[::-1]
    there, here = (_within(programme, float(rng.uniform(0.1, 0.6)), clip) for programme in (one, two))
    level = max(rms(one.me), 0.02) / max(rms(clip), 1e-6)
    _lay_common(one, clip, there, level, keeps_dialogue)
    _lay_common(two, clip, here, level * float(rng.uniform(0.5, 1.5)), keeps_dialogue)
    offset = (there - here) / SR
    is_told = seconds >= 3.0
    segment = {"dub_start": here / SR, "dub_end": (here + clip.shape[0]) / SR, "offset": offset, "speed": 1.0}
    return Case(
        one.mix("en"),
        two.mix(lang),
        offset if is_told else None,
        variant,
        segments=[segment] if is_told else None,
        match=is_told,
        languages=("en", lang),
        me_level_db=-6.0,
    )


def shared_music(lib, rng, i, scale):
    """The same music under two programmes, each with dialogue of its own over it."""
    return _common_part(lib, rng, scale, float(rng.uniform(12, 30)), "music", keeps_dialogue=True)


def shared_titles(lib, rng, i, scale):
    """The same title sequence, or a sting too short to be told, in two episodes."""
    is_sting = i % 2 == 1
    seconds = float(rng.uniform(0.8, 2.2) if is_sting else rng.uniform(4, 25))
    return _common_part(lib, rng, scale, seconds, "sting" if is_sting else "titles", keeps_dialogue=False)


def loop_alone(lib, rng, i, scale):
    """One bar throughout, without effects: only the pauses of the dialogue tell its repeats apart, or nothing does."""
    g = ground(lib, rng, scale, dubbed=True, level=-6.0, largest=20.0, loop=True, effects=False)
    g.padded = False
    if i % 3 < 2:
        return simple(g, "looped_bar_and_dialogue")
    bed = g.programme.me
    sides = [cut(bed, g.start + shift, g.seconds) for shift in (0.0, g.offset)]
    loud = 1.5 * rms(bed)
    master, dub = (side + rng.normal(0.0, loud, side.shape).astype(np.float32) for side in sides)
    scale_down = np.float32(0.9 / max(np.abs(master).max(), np.abs(dub).max()))
    return Case(master * scale_down, dub * scale_down, g.offset, "looped_bar_and_noise")
