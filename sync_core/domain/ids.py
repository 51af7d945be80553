"""Ids of batches, items and analyses, as the customer's document shows them."""

from __future__ import annotations

import re
import secrets
from datetime import datetime

_BATCH_ID = re.compile(r"batch_\d{8}_\d{6}_[0-9a-f]{8}")
_ANALYSIS_ID = re.compile(r"\d{8}_\d{6}_[0-9a-f]{8}")


def new_batch_id(now: datetime) -> str:
    """Make an id such as `batch_20250828_140600_a1b2c3d4`."""
    return f"batch_{now:%Y%m%d_%H%M%S}_{secrets.token_hex(4)}"


def new_analysis_id(now: datetime) -> str:
    """Make an id such as `20250828_140605_0f1e2d3c`."""
    return f"{now:%Y%m%d_%H%M%S}_{secrets.token_hex(4)}"


def analysis_id_of_single(batch_id: str) -> str:
    """Give the analysis id of a one-pair analysis: its batch's own stamp."""
    return batch_id.removeprefix("batch_")


def is_batch_id(text: str) -> bool:
    """Tell whether `text` has a batch id's form; one that has not names no batch."""
    return _BATCH_ID.fullmatch(text) is not None


def is_analysis_id(text: str) -> bool:
    """Tell whether `text` has an analysis id's form."""
    return _ANALYSIS_ID.fullmatch(text) is not None
