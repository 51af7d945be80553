"""Whether a peer understands a pair as we think it does: a file shifted both ways must come back with our sign."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from handlers.cli.demo_audio.programme import build_programme
from handlers.cli.demo_audio.timing import RATE_HZ
from tests.peers.ask import ask
from tests.peers.environments import PeerUnavailable
from tests.peers.pairs import recordings
from tests.peers.peer import Peer

SHIFT_SECONDS = 1.234
WITHIN_SECONDS = 0.05
_SECONDS = 60.0
_LIMIT_SECONDS = 600.0
"""Generous: the first run of some peers compiles for minutes on a busy machine."""


def write_shifted(folder: Path) -> tuple[Path, Path]:
    """Write one programme twice; the second file starts 1.234 s earlier in it, so as a dub it is late."""
    programme = build_programme(recordings(), seconds=_SECONDS, seed=1234).master
    pcm = np.round(programme * 32767.0).astype("<i2")
    count = round(SHIFT_SECONDS * RATE_HZ)
    return _write(folder / "one.wav", pcm[count:]), _write(folder / "other.wav", pcm[:-count])


def check_sign(peer: Peer, bin_folder: Path, one: Path, other: Path) -> None:
    """Ask about the pair and about its swap.

    Raises
    ------
    PeerUnavailable
        If an answer is missing or wrong.
    """
    for master, dub, expected in ((one, other, -SHIFT_SECONDS), (other, one, SHIFT_SECONDS)):
        reply = ask(peer, bin_folder, master, dub, limit_seconds=_LIMIT_SECONDS)
        found = reply.answer.offset_seconds
        if found is None or abs(found - expected) > WITHIN_SECONDS:
            raise PeerUnavailable(f"gave {found} for a pair with {expected} s ({reply.failure or 'without complaint'})")


def _write(path: Path, pcm: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(np.ascontiguousarray(pcm).tobytes())
    return path
