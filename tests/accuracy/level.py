"""Levels, and running a program: what all the corpus modules share."""

from __future__ import annotations

import math
import subprocess

import numpy as np

SR = 48_000
BLOCK = 60 * SR
"""Two-hour programmes are worked on in blocks, to stay within a few gigabytes."""


def db(value: float) -> float:
    """Decibels to an amplitude factor."""
    return 10.0 ** (value / 20.0)


def rms(x: np.ndarray, where: np.ndarray | None = None) -> float:
    """Root mean square over everything, or over the rows that `where` marks."""
    total, count = 0.0, 0
    for i in range(0, x.shape[0], BLOCK):
        part = x[i : i + BLOCK] if where is None else x[i : i + BLOCK][where[i : i + BLOCK]]
        total += float(np.sum(np.square(part, dtype=np.float64)))
        count += part.size
    return math.sqrt(total / count) if count else 0.0


def run(command: list[str], **kwargs) -> subprocess.CompletedProcess:
    return subprocess.run(command, check=True, capture_output=True, **kwargs)
