"""Ask a peer about one pair, in a folder that is gone afterwards."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.peers.measure import Run, run
from tests.peers.peer import Answer, Peer

_MEMORY_WORDS = ("MemoryError", "Unable to allocate", "Cannot allocate memory")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. With a `failure`, which is a few words, the answer holds nothing."""

    answer: Answer
    failure: str
    run: Run


def ask(peer: Peer, bin_folder: Path, master: Path, dub: Path, *, limit_seconds: float) -> Reply:
    """Run the peer once, start-up included."""
    with tempfile.TemporaryDirectory(prefix="sync-peer-") as name:
        folder = Path(name)
        command = peer.command(bin_folder, peer.inputs(master, dub, folder))
        done = run(command, folder=folder, limit_seconds=limit_seconds)
        if peer.refuses_with and peer.refuses_with in done.errors:
            return Reply(Answer(None, None), "", done)
        failure = done.stopped or _failure(done, peer)
        if failure:
            return Reply(Answer(None, None), failure, done)
        try:
            return Reply(peer.answer(done.output, folder), "", done)
        except (ArithmeticError, AssertionError, LookupError, StopIteration, ValueError):
            return Reply(Answer(None, None), "no answer in its output", done)


def _failure(done: Run, peer: Peer) -> str:
    if done.exit_code in peer.exit_codes:
        return ""
    if any(word in done.errors + done.output for word in _MEMORY_WORDS):
        return "memory limit"
    return f"exit code {done.exit_code}"
