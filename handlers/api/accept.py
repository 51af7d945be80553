"""Choose between JSON and CSV by an Accept header."""

from __future__ import annotations

_JSON = "application/json"
_CSV = "text/csv"


def prefers_csv(accept: str | None) -> bool:
    """Tell whether the header ranks CSV above JSON; JSON it is where it ranks them alike or has neither.

    Examples
    --------
    >>> prefers_csv("text/csv"), prefers_csv("*/*"), prefers_csv("application/json;q=0.5, text/*")
    (True, False, True)
    """
    ranges = [_parse(part) for part in (accept or "").split(",")]
    return _quality(_CSV, ranges) > _quality(_JSON, ranges)


def _parse(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weights = (value for key, _, value in (piece.partition("=") for piece in parameters) if key.strip() == "q")
    try:
        return name, min(max(float(next(weights, "1")), 0.0), 1.0)
    except ValueError:
        return name, 0.0


def _quality(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """Give the weight of the most specific range that the type is in."""
    for name in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        weights = [weight for given, weight in ranges if given == name]
        if weights:
            return max(weights)
    return 0.0
