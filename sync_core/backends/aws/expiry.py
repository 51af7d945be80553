"""When DynamoDB removes a row by itself."""

from __future__ import annotations

from datetime import datetime


def expiry(at: datetime) -> int:
    """Give the value of the table's TTL attribute, which DynamoDB wants in whole seconds."""
    return int(at.timestamp())
