"""What the page is written from: the newest measurements of each kind, in the cache."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from tests.peers.accuracy import Outcome
from tests.peers.environments import store
from tests.peers.speed import Timing


@dataclass(frozen=True, slots=True)
class Accuracy:
    """All outcomes on one corpus. `absent` tells why a program isn't among them."""

    date: str
    corpus: str
    absent: Mapping[str, str]
    outcomes: Sequence[Outcome]


@dataclass(frozen=True, slots=True)
class Speed:
    """All timings of pairs of one length."""

    date: str
    minutes: int
    timings: Sequence[Timing]


def keep_accuracy(corpus: str, absent: Mapping[str, str], outcomes: Sequence[Outcome]) -> None:
    _write("accuracy", asdict(Accuracy(_now(), corpus, absent, outcomes)))


def keep_speed(minutes: int, timings: Sequence[Timing]) -> None:
    _write(f"speed-{minutes}", asdict(Speed(_now(), minutes, timings)))


def accuracy() -> Accuracy | None:
    document = _read("accuracy")
    return document and Accuracy(**{**document, "outcomes": [Outcome(**row) for row in document["outcomes"]]})


def speed(minutes: int) -> Speed | None:
    document = _read(f"speed-{minutes}")
    return document and Speed(**{**document, "timings": [Timing(**row) for row in document["timings"]]})


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load {os.getloadavg()[2]:.1f} over the 15 minutes before its end"


def _write(name: str, document: dict) -> None:
    folder = store() / "kept"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(document))


def _read(name: str) -> dict | None:
    path = store() / "kept" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None
