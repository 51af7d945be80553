"""What a peer is: a program that is given two files and answers with one number."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.peers.inputs import Inputs, linked

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Answer:
    """The shift that the dub needs, in this project's sign; None: the peer refused. `score` is the peer's own."""

    offset_seconds: float | None
    score: float | None


@dataclass(frozen=True, slots=True)
class Peer:
    """One program to compare with.

    Attributes
    ----------
    name
        As it stands in tables; one package may be asked in two ways.
    package
        Its name on the package index; `requirements-<package>.txt` pins all it needs. Empty: this checkout's program.
    call
        What is called, as its documentation says, for people to read.
    command
        Makes the command line of (bin folder of its environment, inputs); it runs in the inputs' folder.
    answer
        Reads (standard output, working folder).
    inputs
        Puts the two files where and as the peer wants them, before the clock starts.
    exit_codes
        What it ends with when it has answered.
    refuses_with
        What it says, as it fails, when the files don't match.
    remark
        What a reader must know to judge its figures.
    """

    name: str
    package: str
    call: str
    command: Callable[[Path, Inputs], list[str]]
    answer: Callable[[str, Path], Answer]
    inputs: Callable[[Path, Path, Path], Inputs] = linked
    exit_codes: tuple[int, ...] = (0,)
    refuses_with: str | None = None
    remark: str = ""

    @property
    def requirements(self) -> Path:
        return HERE / f"requirements-{self.package}.txt"

    @property
    def version(self) -> str:
        if not self.package:
            return checkout()
        pins = dict(line.split("==") for line in self.requirements.read_text().split())
        return pins[self.package]


@cache
def checkout() -> str:
    """Name this checkout: its last commit, and whether the product's code differs from it."""
    commit = _git("rev-parse", "--short", "HEAD")
    return f"{commit} with changes" if _git("status", "--porcelain", "handlers", "sync_core") else commit


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=HERE, check=True, capture_output=True, text=True).stdout.strip()
