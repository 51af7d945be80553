"""Secrets that webhooks are signed with, in the form of Standard Webhooks: `whsec_` and base64."""

from __future__ import annotations

import base64
import binascii
import re
import secrets

from sync_core.domain.errors import ConfigurationError

_PREFIX = "whsec_"
_NEW_BYTES = 32
_FEWEST_BYTES, _MOST_BYTES = 24, 64


def new_secret() -> str:
    """Make a secret at random, of 256 bits."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_NEW_BYTES)).decode()


def parse_secrets(text: str) -> tuple[str, ...]:
    """Read secrets that stand behind each other with blanks or commas between; the prefix may be left out.

    Raises
    ------
    ConfigurationError
        If one is not what it should be. The message tells which by its place, and does not repeat it.
    """
    given = tuple(filter(None, re.split(r"[\s,]+", text)))
    for number, secret in enumerate(given, start=1):
        if not _is_usable(secret.removeprefix(_PREFIX)):
            raise ConfigurationError(
                f"Webhook secret {number} of {len(given)} is not base64 of {_FEWEST_BYTES} to {_MOST_BYTES} bytes, "
                f"with or without {_PREFIX} before it; `sync-analyzer webhooks secret` makes one."
            )
    return given


def _is_usable(encoded: str) -> bool:
    try:
        return _FEWEST_BYTES <= len(base64.b64decode(encoded, validate=True)) <= _MOST_BYTES
    except (binascii.Error, ValueError):
        return False
