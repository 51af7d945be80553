"""The form in which a result is stored, answered and reported: names and values that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum

from sync_core.domain.result import AnalysisResult

_DECIMALS = {"confidence": 4, "score": 3, "drift_ppm": 3, "count": 3}
_DEFAULT_DECIMALS = 9  # nanoseconds, and a thousandth of a ppm in a ratio


def result_document(result: AnalysisResult) -> dict[str, object]:
    """Give a result as plain dictionaries, lists, texts and finite numbers, under its own field names.

    Examples
    --------
    >>> from sync_core.domain.result import Candidate
    >>> _plain(Candidate(0.1 + 0.2, 1.0, 0.98765), "")
    {'offset_seconds': 0.3, 'speed_ratio': 1.0, 'confidence': 0.9877}
    """
    return {field.name: _plain(getattr(result, field.name), field.name) for field in fields(result)}


def _plain(value: object, name: str) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        rounded = round(value, _DECIMALS.get(name, _DEFAULT_DECIMALS)) if math.isfinite(value) else None
        return 0.0 if rounded == 0 else rounded  # never -0.0
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name), field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry, str(key)) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(entry, name) for entry in value]
    return value
