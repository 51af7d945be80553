"""Write a case's two files, and measure what their codecs add."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

from tests.accuracy.level import SR, run
from tests.accuracy.timing import delay_between


def encode(audio: np.ndarray, path: Path, recipe: dict) -> float:
    """Encode with ffmpeg; returns by how much the decoded file is late against `audio`."""
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[audio.shape[1]]
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-y",
        "-f",
        "f32le",
        "-ar",
        str(SR),
        "-channel_layout",
        layout,
        "-ac",
        str(audio.shape[1]),
        "-i",
        "-",
    ]
    if recipe.get("video"):
        seconds = audio.shape[0] / SR
        command += [
            "-f",
            "lavfi",
            "-i",
            f"testsrc2=s=192x108:r=25:d={seconds:.6f}",
            "-map",
            "1:v",
            "-map",
            "0:a",
            *recipe["video"],
        ]
    command += [*recipe["args"], "-fflags", "+bitexact", str(path)]
    run(command, input=np.ascontiguousarray(audio, dtype="<f4").tobytes())
    raw = run(
        ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:a:0", "-ac", "1", "-ar", str(SR), "-f", "f32le", "-"]
    ).stdout
    decoded = np.frombuffer(raw, "<f4")
    reference = run(
        [
            "ffmpeg",
            "-v",
            "error",
            "-f",
            "f32le",
            "-ar",
            str(SR),
            "-channel_layout",
            layout,
            "-ac",
            str(audio.shape[1]),
            "-i",
            "-",
            "-ac",
            "1",
            "-f",
            "f32le",
            "-",
        ],
        input=np.ascontiguousarray(audio, dtype="<f4").tobytes(),
    ).stdout
    return delay_between(np.frombuffer(reference, "<f4"), decoded)


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
