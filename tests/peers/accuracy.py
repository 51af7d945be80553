"""Ask every program about every pair of a corpus, and keep what each answered."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.peers.ask import ask
from tests.peers.environments import store
from tests.peers.peer import Peer

LIMIT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One program's word on one pair.

    Attributes
    ----------
    error_seconds
        Distance to the nearest offset that a part of the dub really has, less what the truth itself may be off by;
        None where there is no match, or no answer.
    answered
        It gave an offset.
    failure
        Why there is neither offset nor refusal.
    """

    program: str
    version: str
    case: str
    family: str
    match: bool
    answered: bool
    error_seconds: float | None
    score: float | None
    failure: str
    wall_seconds: float
    cpu_seconds: float
    anonymous_bytes: int


def measure(corpus: Path, programs: Mapping[Peer, Path], *, jobs: int) -> list[Outcome]:
    """Ask all about all; what the cache holds of the same versions isn't asked again."""
    manifest = _manifest(corpus)
    kept = store() / "answers" / f"{manifest['recordings']}-{manifest['seed']}-{manifest['scale']}.jsonl"
    known = {(o.program, o.version, o.case): o for o in _read(kept)}
    wanted = [(case, peer) for case in manifest["cases"] if case["family"] != "long" for peer in programs]
    missing = [(case, peer) for case, peer in wanted if (peer.name, peer.version, case["id"]) not in known]
    kept.parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(jobs) as pool, kept.open("a") as file:
        for outcome in pool.map(lambda job: _ask(corpus, *job, programs[job[1]]), missing):
            known[outcome.program, outcome.version, outcome.case] = outcome
            file.write(json.dumps(asdict(outcome)) + "\n")
            file.flush()
    return [known[peer.name, peer.version, case["id"]] for case, peer in wanted]


def title(corpus: Path) -> str:
    """Tell how the corpus was made."""
    manifest = _manifest(corpus)
    return f"recordings `{manifest['recordings']}`, seed {manifest['seed']}, scale `{manifest['scale']}`"


def _manifest(corpus: Path) -> dict:
    return json.loads((corpus / "manifest.json").read_text())


def _read(kept: Path) -> Iterator[Outcome]:
    if kept.exists():
        for line in kept.read_text().splitlines():
            yield Outcome(**json.loads(line))


def _ask(corpus: Path, case: dict, peer: Peer, bin_folder: Path) -> Outcome:
    reply = ask(peer, bin_folder, corpus / case["master"], corpus / case["dub"], limit_seconds=LIMIT_SECONDS)
    found = reply.answer.offset_seconds
    return Outcome(
        peer.name,
        peer.version,
        case["id"],
        case["family"],
        case["match"],
        found is not None,
        _error_seconds(found, case),
        reply.answer.score,
        reply.failure,
        reply.run.wall_seconds,
        reply.run.cpu_seconds,
        reply.run.anonymous_bytes,
    )


def _error_seconds(found: float | None, case: dict) -> float | None:
    """Be generous to programs that give one number: any part's offset of an edited dub is right."""
    if found is None or not case["match"]:
        return None
    nearest = min(abs(found - segment["offset"]) for segment in case["segments"])
    return max(nearest - case["tolerance_s"], 0.0)
