"""Images without Docker: what a Dockerfile says, and processes that run as its containers would."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_USER = "10001"
# An interpreter and packages that lie in somebody's home can be read, and nothing else: no image has them there.
_UNPRIVILEGED = (
    *("setpriv", "--reuid", _USER, "--regid", _USER, "--clear-groups", "--no-new-privs"),
    *(
        "--inh-caps=-all,+dac_read_search",
        "--ambient-caps=-all,+dac_read_search",
        "--bounding-set=-all,+dac_read_search",
    ),
)
_READ_ONLY = (
    *("unshare", "--mount", "sh", "-ec"),
    'mount --bind "$0" "$0"; mount -o remount,bind,ro /; cd "$0"; exec "$@"',
)


@dataclass
class Image:
    """One stage of a Dockerfile with what it inherits; of an instruction that is repeated, the last counts."""

    base: str = ""
    user: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)


def instructions(path: Path) -> Iterator[tuple[str, str]]:
    """Give each instruction with its arguments on one line."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE)
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.strip():
            name, _, arguments = line.strip().partition(" ")
            yield name, arguments.strip()


def stages(path: Path) -> dict[str, Image]:
    """Give the stages of a Dockerfile; one without a name is called by its number."""
    arguments: dict[str, str] = {}
    made: dict[str, Image] = {}
    image = Image()
    for name, text in instructions(path):
        if name == "ARG":
            arguments.__setitem__(*text.split("=", 1))
        elif name == "FROM":
            base, _, stage = text.partition(" AS ")
            image = _derived(made.get(base), re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], base))
            made[stage or str(len(made))] = image
        else:
            _read(image, name, text)
    return made


def _derived(parent: Image | None, base: str) -> Image:
    if parent is None:
        return Image(base)
    return Image(parent.base, parent.user, dict(parent.environment), *map(list, _lists(parent)))


def _lists(image: Image) -> tuple[list[str], ...]:
    return image.entrypoint, image.command, image.health, image.volumes


def _read(image: Image, name: str, text: str) -> None:
    if name == "ENV":
        image.environment |= dict(pair.split("=", 1) for pair in shlex.split(text))
    elif name == "USER":
        image.user = text
    elif name == "ENTRYPOINT":
        image.entrypoint = json.loads(text)
    elif name == "CMD":
        image.command = json.loads(text)
    elif name == "VOLUME":
        image.volumes = json.loads(text)
    elif name == "HEALTHCHECK":
        image.health = json.loads(text.partition("CMD ")[2])


@cache
def confinement() -> tuple[str, ...]:
    """Give what puts a command behind a read-only root and under the images' user, as far as this machine lets us."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        return ()
    can_mount = (
        shutil.which("unshare")
        and not subprocess.run([*_READ_ONLY, "/dev/shm", "true"], check=False, capture_output=True).returncode
    )
    return (*(_READ_ONLY if can_mount else ()), *_UNPRIVILEGED)


@dataclass(frozen=True)
class Container:
    """Processes with an image's environment and rights; all that they may write to is `folder`."""

    image: Image
    folder: Path
    port: int

    def environment(self, **settings: object) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SYNC_", "PYTHON"))}
        there = {
            **{name: self._here(value) for name, value in self.image.environment.items()},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "SYNC_API_URL": f"http://127.0.0.1:{self.port}",
            "TMPDIR": str(self.folder / "tmp"),
        }
        return {**inherited, **there, **{name: str(value) for name, value in settings.items()}}

    @contextmanager
    def run(self, command: list[str] | None = None, **settings: object) -> Iterator[subprocess.Popen[bytes]]:
        """Run the image with its own command, or another one, as `docker run` does."""
        arguments = self._confined([*self.image.entrypoint, *(command or self.image.command)])
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                arguments, env=self.environment(**settings), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)

    def health(self, **settings: object) -> int:
        """Run the image's health check."""
        return subprocess.run(
            self._confined(self.image.health), env=self.environment(**settings), check=False, capture_output=True
        ).returncode

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def _here(self, value: str) -> str:
        """Put the image's writable folders under `folder`."""
        return str(self.folder / value[1:]) if value in self.image.volumes else value

    def _confined(self, command: list[str]) -> list[str]:
        prefix = [*confinement()]
        if "unshare" in prefix:
            prefix.insert(len(_READ_ONLY), str(self.folder))
        return [*prefix, *(str(self.port) if word == "8000" else word for word in command)]
