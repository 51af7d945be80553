"""Remote files as the product opens them, from a range server of a test."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sync_core.domain.remote_media import Refusal
from sync_core.domain.result import MediaInfo
from sync_core.media.decode import AudioReader
from sync_core.media.presigned import Locate, PresignedOrigin
from sync_core.media.range_client import Patience, RangeClient
from sync_core.media.read_ahead import ReadAhead
from sync_core.media.remote_file import RemoteFile

QUICK = Patience(first_pause_seconds=0.001, most_pause_seconds=0.01, give_up_seconds=20.0)


def always(url: str) -> Locate:
    """Give the same address whatever happens, as long as it is not refused."""

    def locate(refusal: Refusal | None) -> str:
        assert refusal is None, refusal
        return url

    return locate


def remote_client(locate: Locate | str, *, patience: Patience = QUICK, **options) -> RangeClient:
    origin = PresignedOrigin(always(locate) if isinstance(locate, str) else locate, ssl.create_default_context())
    return RangeClient(origin, "s3://studio/file", patience=patience, **options)


def remote_file(locate: Locate | str, *, is_over: Callable[[], bool] = lambda: False, **options) -> RemoteFile:
    client = remote_client(locate, is_over=is_over, **options)
    return RemoteFile(client, ReadAhead(client.fetch, is_over=is_over))


def decoded(file: Path | RemoteFile, **selected: int) -> tuple[NDArray[np.float32], MediaInfo]:
    """Decode a file, and tell what was read, but for what depends on where it lies."""
    with AudioReader(file, "file", **selected) as reader:
        samples = np.concatenate(list(reader.blocks()), axis=1)
        return samples, replace(reader.info, fetched=None)
