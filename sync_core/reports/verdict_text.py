"""Say in words what a result means. Works on the stored form of a result, as every report does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]


def headline(result: Document) -> str:
    """Give the answer in one sentence, with the sign in words.

    Examples
    --------
    >>> headline({"verdict": "offset", "offset_seconds": -2.456})
    'dub is 2.456 s late'
    >>> headline({"verdict": "no_match", "offset_seconds": None})
    'no match: nothing in common that could be aligned'
    """
    verdict, offset = result["verdict"], result["offset_seconds"]
    if verdict == "no_match":
        return "no match: nothing in common that could be aligned"
    if verdict == "in_sync":
        return f"dub is in sync ({lateness(offset)})"
    if verdict == "drift":
        return f"dub starts {lateness(offset)} and {_drift(result)}"
    if verdict == "edited":
        parts = sum(1 for segment in result["segments"] if segment["offset_seconds"] is not None)
        return f"dub was edited: {parts} part{'s' if parts != 1 else ''}, the first {lateness(offset)}"
    return f"dub is {lateness(offset)}"


def advice(result: Document) -> str:
    """Say what to do about it, in one sentence."""
    verdict, offset = result["verdict"], result["offset_seconds"]
    if verdict == "no_match":
        return "Check that both files are of the same programme and carry sound."
    if verdict == "in_sync":
        return "Nothing to do."
    if verdict == "edited":
        return "Conform the dub part by part, by the segments."
    shift = f"Shift the dub by {offset:+.3f} s"
    if verdict == "drift":
        return f"Play the dub at {1 / result['speed_ratio']:.6f} times its speed, then shift it by {offset:+.3f} s."
    return f"{shift}{_frames(result)}."


def lateness(offset_seconds: float) -> str:
    """Put an offset's sign into words.

    Examples
    --------
    >>> lateness(-0.5), lateness(0.25), lateness(0.0)
    ('0.500 s late', '0.250 s early', '0.000 s off')
    """
    size = f"{abs(offset_seconds):.3f} s"
    if abs(offset_seconds) < 0.0005:
        return f"{size} off"
    return f"{size} {'late' if offset_seconds < 0 else 'early'}"


def _drift(result: Document) -> str:
    if result.get("rate_label"):
        return f"runs at {result['rate_label']}"
    ppm = result["drift_ppm"]
    return f"plays {abs(ppm):.1f} ppm too {'fast' if ppm > 0 else 'slowly'}"


def _frames(result: Document) -> str:
    frames = result.get("frames")
    return f" ({frames['count']:+.1f} frames at {frames['rate']} per second)" if frames else ""
