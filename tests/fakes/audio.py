"""Small WAV files made with the standard library."""

from __future__ import annotations

import random
import wave
from array import array
from pathlib import Path

RATE_HZ = 16_000


def programme(seconds: float, *, seed: int) -> array:
    """Make coloured noise whose loudness changes eight times a second."""
    chance, samples, level, loudness = random.Random(seed), array("h"), 0.0, 1.0
    for index in range(int(seconds * RATE_HZ)):
        if index % (RATE_HZ // 8) == 0:
            loudness = chance.uniform(0.05, 1.0)
        level = 0.7 * level + chance.uniform(-6000.0, 6000.0) * loudness
        samples.append(int(max(-32767.0, min(32767.0, level))))
    return samples


def late(samples: array, seconds: float) -> array:
    silence = array("h", [0] * int(seconds * RATE_HZ))
    return (silence + samples)[: len(samples)]


def early(samples: array, seconds: float) -> array:
    return samples[int(seconds * RATE_HZ) :]


def write_wav(path: Path, samples: array) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.tobytes())
    return path
