"""Between plain rows and DynamoDB's typed attributes, and expressions with their placeholders.

In expressions `#name` stands for the attribute `name` (always so, because many good names are reserved words) and
`:name` for a value that is given beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]
"""Attributes by name; plain texts, numbers, bytes and tuples of numbers. One that is None is not there."""

Wire = dict[str, Any]
"""What the API takes and gives: `{"name": {"S": "text"}}`, or a whole request."""

_NAME = re.compile(r"#(\w+)")


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition on a row, as text with placeholders."""

    text: str
    values: Row = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plus:
    """In the changes of an update: add to the number that is stored."""

    amount: int


def all_of(*conditions: str, **values: object) -> Expression:
    """Make the condition that holds where all of these do."""
    joined = " AND ".join(f"({condition})" for condition in conditions)
    return Expression(joined if len(conditions) > 1 else conditions[0], values)


def to_wire(row: Row) -> Wire:
    return {name: _typed(value) for name, value in row.items() if value is not None}


def from_wire(wire: Mapping[str, Any]) -> Row:
    return {name: _plain(typed) for name, typed in wire.items()}


def placeholders(values: Row, *texts: str) -> Wire:
    """Give the request's maps of names and values for the expressions `texts`."""
    names = {f"#{name}": name for text in texts for name in _NAME.findall(text)}
    typed = {f":{name}": _typed(value) for name, value in values.items()}
    request: Wire = {"ExpressionAttributeNames": names} if names else {}
    return {**request, "ExpressionAttributeValues": typed} if typed else request


def update_expression(changes: Row) -> tuple[str, Row]:
    """Make the expression that stores `changes`, and its values; what is None is removed."""
    kept = {name: value for name, value in changes.items() if value is not None}
    removed = [f"#{name}" for name, value in changes.items() if value is None]
    sets = [f"#{name} = {_source(name, value)}" for name, value in kept.items()]
    parts = [f"SET {', '.join(sets)}"] if sets else []
    parts += [f"REMOVE {', '.join(removed)}"] if removed else []
    return " ".join(parts), {f"new_{name}": _amount(value) for name, value in kept.items()}


def _source(name: str, value: object) -> str:
    return f"#{name} + :new_{name}" if isinstance(value, Plus) else f":new_{name}"


def _amount(value: object) -> object:
    return value.amount if isinstance(value, Plus) else value


def _typed(value: object) -> Wire:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, tuple):
        return {"L": [_typed(entry) for entry in value]}
    if isinstance(value, str):
        return {"S": str(value)}
    raise TypeError(f"{value!r} has no form in the table")


def _plain(typed: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a row holds values of several types
    ((kind, value),) = typed.items()
    if kind == "N":
        return int(value) if value.lstrip("-").isdigit() else float(value)
    if kind == "L":
        return tuple(_plain(entry) for entry in value)
    return value
