"""What dropped objects mean by their names. Pure: nothing is read here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sync_core.jobs.ports.drop_store import DROP, RESULTS

READY = "_READY"
_CSV = re.compile(r"\.csv\Z", re.IGNORECASE)
_ERRORS = ".errors.json"
_MASTER = re.compile(r"(?P<name>.+)\.master\.[^.]+", re.IGNORECASE | re.DOTALL)
_DUB = re.compile(r"(?P<name>.+)\.dub\.(?P<language>[^.]+)\.[^.]+", re.IGNORECASE | re.DOTALL)
_NO_MEDIA = re.compile(r"\.(json|csv|txt|md)\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Trigger:
    """An object whose arrival starts something: a CSV file, or the `_READY` of a job.

    `stem` is its key without `drop/` and without what makes it a trigger: the folder of its results.
    """

    key: str
    stem: str
    is_ready: bool

    @property
    def settings_key(self) -> str | None:
        """Give the key of the settings beside it; None where that would be another one's list of errors."""
        key = f"{self._without_suffix}.json"
        return None if key.lower().endswith(_ERRORS) else key

    @property
    def errors_key(self) -> str:
        return f"{self._without_suffix}{_ERRORS}"

    @property
    def _without_suffix(self) -> str:
        return self.key if self.is_ready else _CSV.sub("", self.key)


def result_key(stem: str, batch_id: str, suffix: str) -> str:
    """Say where results go: a name of their own for each batch, outside of what is watched.

    Examples
    --------
    >>> result_key("films/pairs", "batch_1", "json")
    'results/films/pairs/batch_1.json'
    """
    return "/".join(filter(None, (RESULTS.rstrip("/"), stem, f"{batch_id}.{suffix}")))


def trigger_of(key: str) -> Trigger | None:
    """Tell whether an object starts something; hidden ones, and those in hidden folders, never do.

    Examples
    --------
    >>> trigger_of("drop/films/_READY").stem, trigger_of("drop/films/pairs.errors.json"), trigger_of("results/a.csv")
    ('films', None, None)
    """
    path = key.removeprefix(DROP)
    parts = path.split("/")
    if not key.startswith(DROP) or any(part in ("", "..") or part.startswith(".") for part in parts):
        return None
    if parts[-1] == READY:
        return Trigger(key, "/".join(parts[:-1]), is_ready=True)
    if _CSV.search(path) and path[:-4].rpartition("/")[2]:
        return Trigger(key, path[:-4], is_ready=False)
    return None


def is_text(name: str) -> bool:
    """Tell whether a name can be written down; on a disk, names may be any bytes."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


@dataclass(frozen=True, slots=True)
class Pair:
    """A master and one of its dubs, by their file names; `name` is what they have in common."""

    name: str
    language: str
    master: str
    dub: str


@dataclass(frozen=True, slots=True)
class Paired:
    """The pairs of a job, and by file name what is wrong with the files that are in none."""

    pairs: tuple[Pair, ...]
    problems: Mapping[str, str] = field(default_factory=dict)


def pair_up(names: Sequence[str]) -> Paired:
    """Pair the files of a job: `<name>.master.<ext>` with each `<name>.dub.<lang>.<ext>`, in the order of the names.

    Hidden files and texts that lie about are passed over.
    """
    media = [name for name in sorted(names) if not (name.startswith(".") or name == READY or _NO_MEDIA.search(name))]
    readable = [name for name in media if is_text(name)]
    masters = {name: match["name"] for name in readable if (match := _MASTER.fullmatch(name))}
    dubs = {name: match for name in readable if name not in masters and (match := _DUB.fullmatch(name))}
    times = Counter(masters.values())
    master_of = {stem: name for name, stem in masters.items() if times[stem] == 1}
    pairs = [Pair(dub["name"], dub["language"], master_of[dub["name"]], name)
             for name, dub in dubs.items() if dub["name"] in master_of]  # fmt: skip
    paired = {pair.name for pair in pairs}
    problems: dict[str, str] = {}
    for name in media:
        if not is_text(name):
            problems[name] = "is named in bytes that are no UTF-8; rename it"
        elif name in masters:
            problems |= _of_master(name, masters[name], times, paired)
        elif name in dubs:
            problems |= _of_dub(name, dubs[name]["name"], times)
        else:
            problems[name] = "is named neither <name>.master.<ext> nor <name>.dub.<lang>.<ext>"
    return Paired(tuple(pairs), problems)


def _of_master(name: str, stem: str, times: Mapping[str, int], paired: set[str]) -> dict[str, str]:
    if times[stem] > 1:
        return {name: f"is one of {times[stem]} masters named {stem}; leave one of them"}
    return {} if stem in paired else {name: f"is a master without a dub; a dub of it is named {stem}.dub.<lang>.<ext>"}


def _of_dub(name: str, stem: str, times: Mapping[str, int]) -> dict[str, str]:
    if times[stem] == 1:
        return {}
    if times[stem] > 1:
        return {name: f"has {times[stem]} masters named {stem}; leave one of them"}
    return {name: f"is a dub without a master; its master is named {stem}.master.<ext>"}
