"""Write a case's two files, and measure what their codecs add."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import soundfile as sf
import soxr

from tests.accuracy.level import SR, run
from tests.accuracy.timing import delay_between

FFMPEG = ("ffmpeg", "-v", "error", "-y")
MONO = ("-ac", "1", "-ar", str(SR), "-f", "f32le", "-")


def encode(audio: np.ndarray, path: Path, recipe: dict) -> float:
    """Encode with ffmpeg; returns by how much the decoded file is late against `audio`."""
    sound = np.ascontiguousarray(audio, dtype="<f4").tobytes()
    run([*FFMPEG, *_input_of(audio), *_video(recipe, audio), *recipe["args"], "-fflags", "+bitexact", str(path)],
        input=sound)  # fmt: skip
    decoded = run([*FFMPEG, "-i", str(path), "-map", "0:a:0", *MONO]).stdout
    reference = run([*FFMPEG, *_input_of(audio), *MONO], input=sound).stdout
    return delay_between(np.frombuffer(reference, "<f4"), np.frombuffer(decoded, "<f4")) - picture_start(path)


def picture_start(path: Path) -> float:
    """Seconds from the first sound to the first picture, which times are counted from; 0 without pictures."""
    with av.open(str(path)) as container:
        if not container.streams.video:
            return 0.0
        video, audio = (
            float((one.start_time or 0) * one.time_base)
            for one in (container.streams.video[0], container.streams.audio[0])
        )
        return video - audio


def _input_of(audio: np.ndarray) -> list[str]:
    """Options for samples on standard input."""
    channels = audio.shape[1]
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    return ["-f", "f32le", "-ar", str(SR), "-channel_layout", layout, "-ac", str(channels), "-i", "-"]


def _video(recipe: dict, audio: np.ndarray) -> list[str]:
    """Options for a test picture as long as the sound, where the recipe has one."""
    if not recipe.get("video"):
        return []
    picture = f"testsrc2=s=192x108:r=25:d={audio.shape[0] / SR:.6f}"
    return ["-f", "lavfi", "-i", picture, "-map", "1:v", "-map", "0:a", *recipe["video"]]


def write_audio(audio: np.ndarray, stem: Path, fmt: dict) -> tuple[Path, float]:
    """Write one file of a pair; returns its path and the delay its codec added."""
    if "encode" in fmt:
        path = stem.with_suffix(fmt["encode"]["suffix"])
        return path, encode(audio, path, fmt["encode"])
    rate = fmt.get("rate", SR)
    if rate != SR:
        audio = soxr.resample(audio, SR, rate, quality="VHQ")
    path = stem.with_suffix(".wav")
    sf.write(str(path), np.clip(audio, -1.0, 1.0), rate, subtype=fmt.get("subtype", "PCM_16"))
    return path, 0.0
