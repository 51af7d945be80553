"""`python -m tests.bench.media_reader PATH|URL`: decode one file, and say what that took, in a process of its own."""

from __future__ import annotations

import hashlib
import json
import resource
import ssl
import sys
import time
from pathlib import Path

from sync_core.media.decode import AudioReader
from sync_core.media.presigned import PresignedOrigin
from sync_core.media.range_client import RangeClient
from sync_core.media.read_ahead import ReadAhead
from sync_core.media.remote_file import RemoteFile

_TRUSTED = ssl.create_default_context()
"""Loaded once by each process, as a worker's child does; not once for each file."""


def main() -> None:
    place = sys.argv[1]
    began, digest = time.perf_counter(), hashlib.sha256()
    file = _remote(place) if place.startswith("http") else Path(place)
    with AudioReader(file, place) as reader:
        for block in reader.blocks():
            digest.update(block.tobytes())
    fetched = reader.info.fetched
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - began,
                "cpu_seconds": time.process_time(),
                "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
                "samples": digest.hexdigest(),
                "requests": fetched.requests if fetched else 0,
                "bytes": fetched.bytes if fetched else 0,
            }
        )
    )


def _remote(url: str) -> RemoteFile:
    client = RangeClient(PresignedOrigin(lambda _refusal: url, _TRUSTED), url)
    return RemoteFile(client, ReadAhead(client.fetch))


if __name__ == "__main__":
    main()
