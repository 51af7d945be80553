"""What a dropped file says of its batch as a whole: in columns of its first row, or in a JSON file beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sync_core.domain.batch import Priority, StartOptions
from sync_core.domain.errors import InputError, InputProblem, InvalidBatch
from sync_core.jobs.submit import BatchOptions

_MOST_PARALLEL_JOBS = 64
_MOST_CHARACTERS = 4_096
_SAMPLE = 60


@dataclass(frozen=True, slots=True)
class DropSettings:
    """Settings of a dropped batch; what is None was not given."""

    parallel_jobs: int | None = None
    priority: Priority | None = None
    webhook: str | None = None
    description: str | None = None

    def batch_options(self, key: str) -> BatchOptions:
        """Give what is stored of the batch; without a description it is called as what was dropped."""
        return BatchOptions(self.description or key, self.priority or Priority.NORMAL, self.webhook)

    @property
    def start_options(self) -> StartOptions:
        return StartOptions(self.parallel_jobs) if self.parallel_jobs else StartOptions()


def read_parallel_jobs(text: str) -> int:
    """Read how many items may be in work at once.

    Raises
    ------
    InputError
        If it is no whole number from 1 to 64.
    """
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_PARALLEL_JOBS:
        raise InputError(
            f"parallel_jobs must be a whole number from 1 to {_MOST_PARALLEL_JOBS}, not {text[:_SAMPLE]!r}"
        )
    return int(text)


def read_priority(text: str) -> Priority:
    """Read the name of a priority.

    Raises
    ------
    InputError
        If it is not known.
    """
    if text.lower() not in set(Priority):
        raise InputError(f"unknown priority {text[:_SAMPLE]!r}; known are {', '.join(Priority)}")
    return Priority(text.lower())


def _read_text(text: str) -> str:
    if len(text) > _MOST_CHARACTERS:
        raise InputError(f"the text has {len(text):,} characters; the limit is {_MOST_CHARACTERS:,}")
    return text


COLUMNS: Mapping[str, Callable[[str], object]] = {
    "parallel_jobs": read_parallel_jobs,
    "priority": read_priority,
    "webhook": _read_text,
    "notification_webhook": _read_text,
}
_ALSO_CALLED = {"notification_webhook": "webhook"}
"""As the API calls it."""
_FIELDS: Mapping[str, Callable[[str], object]] = {**COLUMNS, "description": _read_text}


def merged(given: dict[str, object], beside: dict[str, object]) -> DropSettings:
    """Put the settings together; a column goes before the file beside it."""
    values: dict[str, Any] = {_ALSO_CALLED.get(name, name): value for name, value in (beside | given).items()}
    return DropSettings(**values)


def read_settings_file(content: bytes, name: str) -> dict[str, object]:
    """Read a JSON object of settings.

    Raises
    ------
    InvalidBatch
        If it is none, or holds what is no setting; the problems name the fields.
    """
    given = _json_object(content, name)
    values: dict[str, object] = {}
    problems: list[InputProblem] = []
    for field, value in given.items():
        try:
            values[field] = _read_field(field, value)
        except InputError as error:
            problems.append(InputProblem(1, field[:_SAMPLE], error.message))
    if problems:
        raise InvalidBatch(f"The settings in {name} cannot be used; nothing was stored.", problems)
    return {field: value for field, value in values.items() if value is not None}


def _json_object(content: bytes, name: str) -> dict[str, object]:
    try:
        given = json.loads(content)
    except (UnicodeDecodeError, RecursionError):
        raise InvalidBatch(f"{name} is no JSON text; save it as UTF-8.") from None
    except json.JSONDecodeError as error:
        problem = InputProblem(error.lineno, None, f"this is no JSON: {error.msg}")
        raise InvalidBatch(f"{name} is no JSON (line {error.lineno}: {error.msg}).", [problem]) from None
    if not isinstance(given, dict):
        raise InvalidBatch(f'{name} must hold a JSON object of settings, such as {{"parallel_jobs": 4}}.')
    return given


def _read_field(field: str, value: object) -> object:
    if field not in _FIELDS:
        raise InputError(f"there is no such setting; known are {', '.join(_FIELDS)}")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError("the value must be a text or a whole number")
    return _FIELDS[field](str(value).strip())
