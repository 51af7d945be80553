"""From a media reference in S3 or at an https address to a file object."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from functools import cache

import certifi

from sync_core.domain.media import MediaPolicy, MediaRef, MediaScheme
from sync_core.media.https import HttpsOrigin
from sync_core.media.locate import Locate
from sync_core.media.origin import Origin
from sync_core.media.presigned import PresignedOrigin
from sync_core.media.range_client import Limits, RangeClient
from sync_core.media.read_ahead import ReadAhead
from sync_core.media.remote_file import RemoteFile


def open_remote(ref: MediaRef, policy: MediaPolicy, locate: Locate, *, is_over: Callable[[], bool]) -> RemoteFile:
    """Open a file that a policy allows; the caller closes it.

    Parameters
    ----------
    is_over
        Tells whether nobody waits for the file any more.

    Raises
    ------
    MediaError, TransientError
        If it may not or cannot be read.
    """
    allowed = policy.check(ref)
    is_https = allowed.scheme is MediaScheme.HTTPS
    origin: Origin = (
        HttpsOrigin(allowed.location, _trusted())
        if is_https
        else PresignedOrigin(lambda refusal: locate(allowed, refusal), _trusted())
    )
    client = RangeClient(
        origin,
        str(ref),
        etag=f'"{allowed.etag}"' if allowed.etag else None,
        limits=Limits(policy.https_max_bytes, policy.https_max_seconds) if is_https else Limits(),
        is_over=is_over,
    )
    return RemoteFile(client, ReadAhead(client.fetch, is_over=is_over), version=allowed.version)


@cache
def _trusted() -> ssl.SSLContext:
    """Give the certificate authorities to trust: OpenSSL's own variable names others, for endpoints of one's own."""
    return ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or certifi.where())
