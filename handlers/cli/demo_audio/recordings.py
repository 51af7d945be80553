"""What a programme is made of: lines in two languages, music, effects. Here they are cut from real recordings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handlers.cli.demo_audio.packages import OnProgress, PackagesUnavailable, fetch_packages
from handlers.cli.demo_audio.timing import RATE_HZ
from sync_core.domain.errors import MediaError
from sync_core.media.small_files import Stereo, read_stereo

MASTER_VOICE = "asterisk-core-sounds-en-gsm"
DUB_VOICE = "asterisk-core-sounds-it-gsm"
MUSIC = "tumiki-fighters-data"
PACKAGES = (MASTER_VOICE, DUB_VOICE, MUSIC)

_LOOK_ALIKES = frozenset({"here_comes_a_gigantic_toy.ogg", "ship_destroyed.wav"})
"""They hold parts of other clips, sample for sample: programmes that should have nothing in common would."""
_LINES = 48
_LINE_BYTES = (3_300, 16_500)
"""Of GSM at 1,650 bytes a second: lines of 2 to 10 seconds in both languages."""


@dataclass(frozen=True, slots=True)
class Recordings:
    """Clips at RATE_HZ, each `[shape=(n_samples, 2), float32]`.

    `lines[i]` is a pair that says the same: in the master's language, and in the dub's. `source` is one sentence that
    says what the clips are.
    """

    lines: Sequence[tuple[Stereo, Stereo]]
    music: Sequence[Stereo]
    effects: Sequence[Stereo]
    source: str


def load_recordings(*, cache: Path, on_progress: OnProgress) -> Recordings:
    """Fetch the packages and decode what is needed of them.

    Raises
    ------
    PackagesUnavailable
        If they cannot be had, or do not hold what they used to.
    """
    master_voice, dub_voice, game = fetch_packages(PACKAGES, cache=cache, on_progress=on_progress)
    on_progress("Decoding the recordings")
    try:
        lines = tuple((_speech(one), _speech(other)) for one, other in _common_lines(master_voice, dub_voice))
        music, effects = _clips(game, ".ogg"), _clips(game, ".wav")
    except (OSError, MediaError) as error:
        raise PackagesUnavailable(f"a recording in {cache} cannot be decoded ({error})") from error
    if not (lines and music and effects):
        raise PackagesUnavailable(f"the packages {', '.join(PACKAGES)} hold other files than expected")
    return Recordings(lines, music, effects, f"Cut from real recordings in the packages {', '.join(PACKAGES)}.")


def _common_lines(one: Path, other: Path) -> list[tuple[Path, Path]]:
    """Pair the prompts that both voices speak, by their names, and take some of middling length."""
    ours, theirs = _prompts(one), _prompts(other)
    pairs = [(ours[name], theirs[name]) for name in sorted(ours.keys() & theirs.keys())]
    fitting = [pair for pair in pairs if all(_LINE_BYTES[0] <= path.stat().st_size <= _LINE_BYTES[1] for path in pair)]
    return fitting[:_LINES]


def _prompts(package: Path) -> dict[str, Path]:
    """Find prompts by their path inside the voice's folder."""
    voices = sorted((package / "usr/share/asterisk/sounds").glob("*_*"))
    return {str(path.relative_to(voice)): path for voice in voices for path in voice.rglob("*.gsm")}


def _clips(package: Path, suffix: str) -> tuple[Stereo, ...]:
    return tuple(levelled(read_stereo(path, rate_hz=RATE_HZ)) for path in _files(package, suffix))


def _files(package: Path, suffix: str) -> Iterable[Path]:
    return sorted(path for path in package.rglob(f"*{suffix}") if path.name not in _LOOK_ALIKES)


def _speech(path: Path) -> Stereo:
    """Read a prompt without the silence around it."""
    clip = levelled(read_stereo(path, rate_hz=RATE_HZ))
    loud = np.flatnonzero(np.abs(clip[:, 0]) > 0.01)
    return clip[loud[0] : loud[-1] + 1] if loud.size else clip


def levelled(clip: Stereo) -> Stereo:
    """Bring a clip to an effective level of 0.1."""
    level = float(np.sqrt(np.mean(np.square(clip, dtype=np.float64)))) if clip.size else 0.0
    return clip * np.float32(0.1 / level) if level > 1e-4 else clip
