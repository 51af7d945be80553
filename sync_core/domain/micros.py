"""Times as back ends hold them: whole microseconds since 1970, UTC, so that what is read is what was written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def micros_or_none(at: datetime | None) -> int | None:
    return None if at is None else to_micros(at)


def time_or_none(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def seconds(amount: float) -> int:
    """Give a duration in microseconds."""
    return round(amount * 1_000_000)
