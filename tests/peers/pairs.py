"""Long pairs to time, made once and kept: another language over the same music and effects, the dub late."""

from __future__ import annotations

import wave
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from handlers.cli.demo_audio.packages import PackagesUnavailable, cache_folder
from handlers.cli.demo_audio.programme import build_programme
from handlers.cli.demo_audio.recordings import Recordings, load_recordings
from handlers.cli.demo_audio.synthesis import synthesise
from handlers.cli.demo_audio.timing import RATE_HZ
from sync_core.media.small_files import Stereo
from tests.peers.environments import store

LATE_SAMPLES = 117_902
TRUE_OFFSET_SECONDS = -LATE_SAMPLES / RATE_HZ


@cache
def recordings() -> Recordings:
    try:
        return load_recordings(cache=cache_folder(), on_progress=lambda _: None)
    except PackagesUnavailable as error:
        return synthesise(reason=str(error))


def pair(minutes: int) -> tuple[Path, Path]:
    """Give a stereo WAV pair: scene after scene of a minute, each laid out anew, none repeated."""
    folder = store() / "pairs" / f"{minutes}-minutes"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent) as name:
            work = Path(name) / folder.name
            work.mkdir()
            _write(work / "master.wav", work / "dub.wav", minutes)
            work.rename(folder)
    return folder / "master.wav", folder / "dub.wav"


def _write(master: Path, dub: Path, minutes: int) -> None:
    with wave.open(str(master), "wb") as one, wave.open(str(dub), "wb") as other:
        for file in (one, other):
            file.setparams((2, 2, RATE_HZ, 0, "NONE", ""))
        other.writeframes(bytes(4 * LATE_SAMPLES))
        for minute in range(minutes):
            scene = build_programme(recordings(), seconds=60, seed=minute)
            one.writeframes(_pcm(scene.master))
            other.writeframes(_pcm(scene.dub))


def _pcm(audio: Stereo) -> bytes:
    return np.round(audio * 32767.0).astype("<i2").tobytes()
