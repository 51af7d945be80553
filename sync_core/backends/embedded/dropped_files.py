"""Which dropped files have stopped growing, so that they may be read.

A file is left alone while a process of this machine has it open for writing, and until it has stayed as it is for a
while. One that arrived by a rename, complete and older than that, is taken at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sync_core.backends.embedded.drop_store import regular_file_status, version_of
from sync_core.backends.embedded.open_files import is_being_written
from sync_core.jobs.drop_names import Trigger, trigger_of
from sync_core.jobs.ports.drop_store import DROP

_UNSURE = 5
"""How many times as long a file must stay as it is where the system does not say who writes."""
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0


@dataclass(slots=True)
class _Waiting:
    """A trigger that is to be taken: not before `not_before`, after `failures` vain tries."""

    trigger: Trigger
    not_before: float = 0.0
    failures: int = 0


@dataclass(slots=True)
class _Seen:
    """A file as it was last seen, when it was written, and since when it is known to be so."""

    version: str
    written_at: float
    since: float
    is_settled: bool = False


@dataclass
class DroppedFiles:
    """Gathers what arrives in a folder, and gives out what has settled.

    Parameters
    ----------
    settle_seconds
        How long a file must have stayed as it is.
    """

    root: Path
    settle_seconds: float
    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    is_written: Callable[[Path], bool | None] = is_being_written
    _waiting: dict[str, _Waiting] = field(default_factory=dict)
    _taken: dict[str, str] = field(default_factory=dict)
    _seen: dict[Path, _Seen] = field(default_factory=dict)

    @property
    def has_waiting(self) -> bool:
        return bool(self._waiting)

    def scan(self) -> None:
        """Find what arrived while nobody looked."""
        for folder, _, names in os.walk(self.root):
            self.note_all(Path(folder) / name for name in names)

    def note_all(self, paths: Iterable[Path]) -> None:
        """Take notice of several files."""
        for path in paths:
            self.note(path)

    def note(self, path: Path) -> None:
        """Take notice of a file that has come or changed; one that was taken as it is now is left."""
        if not path.is_relative_to(self.root):
            return
        key = DROP + path.relative_to(self.root).as_posix()
        trigger = trigger_of(key)
        if trigger is None or key in self._waiting:
            return
        status = _status_of(path)
        if status and self._taken.get(key) != version_of(status):
            self._waiting[key] = _Waiting(trigger)

    def settled(self) -> list[tuple[str, str]]:
        """Give key and version of each trigger that may be taken now, with all that belongs to it."""
        found = []
        for key, waiting in list(self._waiting.items()):
            if self.monotonic() < waiting.not_before:
                continue
            unsettled = [path for path in self._files_of(waiting.trigger) if not self._has_settled(path)]
            seen = self._seen.get(self._path_of(key))
            if seen is None:
                self._forget(key)  # it has gone
            elif not unsettled:
                found.append((key, seen.version))
        return found

    def done(self, key: str, version: str) -> None:
        """Note that a trigger was taken in this version; it waits again if it has changed meanwhile."""
        self._forget(key)
        self._taken[key] = version
        self.note(self._path_of(key))

    def again(self, key: str, longest_pause_seconds: float = _LONGEST_PAUSE_SECONDS) -> None:
        """Note that taking a trigger failed for now; the pauses between tries grow."""
        waiting = self._waiting[key]
        pause = min(_FIRST_PAUSE_SECONDS * 2**waiting.failures, longest_pause_seconds)
        waiting.not_before, waiting.failures = self.monotonic() + pause, waiting.failures + 1

    def _forget(self, key: str) -> None:
        waiting = self._waiting.pop(key)
        for path in self._files_of(waiting.trigger):
            self._seen.pop(path, None)

    def _files_of(self, trigger: Trigger) -> Iterator[Path]:
        """Give the files that are read with a trigger: its settings, and the media of a job."""
        path = self._path_of(trigger.key)
        yield path
        if trigger.is_ready:
            yield from _files_in(path.parent)
        elif trigger.settings_key:
            yield self._path_of(trigger.settings_key)

    def _path_of(self, key: str) -> Path:
        return self.root / key.removeprefix(DROP)

    def _has_settled(self, path: Path) -> bool:
        """Tell whether a file may be read; one that is not there need not be waited for."""
        status, now = _status_of(path), self.monotonic()
        if status is None:
            self._seen.pop(path, None)
            return True
        seen = self._seen.get(path)
        if seen is None or seen.version != version_of(status):
            seen = self._seen[path] = _Seen(version_of(status), status.st_mtime, now)
        seen.is_settled = seen.is_settled or self._may_be_read(path, seen, now)
        return seen.is_settled

    def _may_be_read(self, path: Path, seen: _Seen, now: float) -> bool:
        quiet = now - seen.since
        if max(quiet, self.wall() - seen.written_at) < self.settle_seconds:
            return False
        written = self.is_written(path)
        return quiet >= _UNSURE * self.settle_seconds if written is None else not written


def _status_of(path: Path) -> os.stat_result | None:
    with suppress(OSError):
        return regular_file_status(path)
    return None


def _files_in(folder: Path) -> Iterable[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return []
