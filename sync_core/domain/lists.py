"""Lists that people write into one field."""

from __future__ import annotations


def split_list(text: str) -> tuple[str, ...]:
    """Split a cell that holds a list, at commas or semicolons; blanks are left out."""
    parts = (part.strip() for part in text.replace(";", ",").split(","))
    return tuple(part for part in parts if part)
