"""How objects in S3 are found: as an address that is asked for."""

from __future__ import annotations

from collections.abc import Callable

from sync_core.domain.errors import MediaUnsupported
from sync_core.domain.media import MediaRef
from sync_core.domain.remote_media import Refusal

Locate = Callable[[MediaRef, Refusal | None], str]
"""Gives an address at which an object in S3 can be read over HTTP; told how the last one was refused, a new one."""


def nowhere(ref: MediaRef, refusal: Refusal | None) -> str:  # noqa: ARG001 - a Locate
    """Stand for a Locate where objects in S3 cannot be read.

    Raises
    ------
    MediaUnsupported
    """
    raise MediaUnsupported(
        f"{ref.location}: objects in S3 are not read here; install `sync-analyzer[aws]`, and name the bucket in "
        "SYNC_ALLOWED_BUCKETS"
    )
