"""The recordings that programmes are made of, out of Debian packages that are downloaded once into a cache folder."""

from __future__ import annotations

import hashlib
import time
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import soundfile as sf
import soxr

from tests.accuracy.level import SR, run

DUB_LANGUAGES = ("es", "fr", "it", "ru")
SPEECH_PACKAGES = {lang: f"asterisk-core-sounds-{lang}-g722" for lang in ("en", *DUB_LANGUAGES)}
MUSIC_PACKAGES = ("wesnoth-1.16-music", "warzone2100-music", "pingus-data", "extremetuxracer-data")
EFFECT_PACKAGES = ("wesnoth-1.16-data", "frozen-bubble-data")
PACKAGES = (*SPEECH_PACKAGES.values(), *MUSIC_PACKAGES, *EFFECT_PACKAGES)


def fetch_packages(cache: Path) -> None:
    """Download and unpack the source packages that the cache does not hold yet."""
    debs, tree = cache / "debs", cache / "x"
    debs.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        target = tree / package
        if target.exists():
            continue
        if not list(debs.glob(f"{package}_*.deb")):
            start = time.time()
            run(["apt-get", "download", package], cwd=debs)
            print(f"downloaded {package} in {time.time() - start:.1f} s", flush=True)
        target.mkdir(parents=True)
        run(["dpkg", "-x", str(next(debs.glob(f"{package}_*.deb"))), str(target)])


def _decode_prompts(root: Path) -> dict[str, np.ndarray]:
    """All prompts of one language as 16 kHz float32, by their path inside the voice's folder."""
    voice = next((root / "usr/share/asterisk/sounds").iterdir())
    prompts = {}
    for path in sorted(voice.rglob("*.g722")):
        with av.open(str(path)) as container:
            frames = [f.to_ndarray().reshape(-1) for f in container.decode(audio=0)]
        if not frames:
            continue
        audio = np.concatenate(frames).astype(np.float32) / 32768.0
        loud = np.flatnonzero(np.abs(audio) > 0.01)
        if loud.size:
            prompts[str(path.relative_to(voice))] = audio[loud[0] : loud[-1] + 1]
    return prompts


class Library:
    """The recordings: prompts in five languages, music tracks, effects and ambiences.

    `half` restricts it to one half of the recordings ("a" or "b"), so that a held-out
    corpus can also use recordings that a tuning corpus never played.
    """

    def __init__(self, cache: Path, half: str = "all"):
        tree = cache / "x"
        self.prompts = {lang: self._prompts(cache, lang) for lang in SPEECH_PACKAGES}
        shared = set.intersection(*(set(p) for p in self.prompts.values()))
        self.prompt_ids = [
            name for name in sorted(shared) if all(0.6 <= p[name].size / 16_000 <= 12.0 for p in self.prompts.values())
        ]
        music, effects, ambience, loops = [], [], [], []
        seen: set[bytes] = set()
        for package in (*MUSIC_PACKAGES, *EFFECT_PACKAGES):
            for path in sorted((tree / package).rglob("*")):
                if path.suffix.lower() not in (".ogg", ".wav", ".opus"):
                    continue
                try:
                    seconds = sf.info(str(path)).duration
                except sf.LibsndfileError:
                    continue
                if package in MUSIC_PACKAGES and seconds >= 45:
                    music.append(path)
                elif "ambient" in path.parts:
                    ambience.append(path)
                elif 0.15 <= seconds <= 8 and (digest := hashlib.sha1(path.read_bytes()).digest()) not in seen:
                    seen.add(digest)  # some effects are there under two names
                    effects.append(path)
                elif "frozen" in package and seconds > 8:
                    loops.append(path)
        keep = {"all": slice(None), "a": slice(0, None, 2), "b": slice(1, None, 2)}[half]
        self.music, self.effects = music[keep], effects[keep]
        self.ambience, self.loops = ambience, loops
        self.prompt_ids = self.prompt_ids[keep]

    @staticmethod
    def _prompts(cache: Path, lang: str) -> dict[str, np.ndarray]:
        stored = cache / f"prompts-{lang}.npz"
        if not stored.exists():
            prompts = _decode_prompts(cache / "x" / SPEECH_PACKAGES[lang])
            part = stored.with_suffix(".part.npz")
            np.savez(part, **prompts)
            part.rename(stored)
        with np.load(stored) as archive:
            return {name: archive[name] for name in archive.files}


def read_excerpt(path: Path, start: float, seconds: float) -> np.ndarray:
    """Stereo float32 at SR from a file that libsndfile reads."""
    with sf.SoundFile(str(path)) as handle:
        handle.seek(min(int(start * handle.samplerate), max(handle.frames - 1, 0)))
        audio = handle.read(int(seconds * handle.samplerate), dtype="float32", always_2d=True)
        rate = handle.samplerate
    audio = np.repeat(audio, 2, axis=1) if audio.shape[1] == 1 else audio[:, :2]
    return audio if rate == SR else soxr.resample(audio, rate, SR).astype(np.float32)


@lru_cache(maxsize=512)
def effect(path: Path) -> np.ndarray:
    return read_excerpt(path, 0.0, 8.0)
