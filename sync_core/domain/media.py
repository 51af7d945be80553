"""References to media, and which of them may be read. Lexical: no file is looked at here."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sync_core.domain.errors import InputError, PathNotAllowed


class MediaScheme(StrEnum):
    FILE = "file"
    S3 = "s3"
    HTTPS = "https"


_SELECTOR = re.compile(
    r"(?:v:(?P<version>[!-+\--~]{1,1024}),|e:(?P<etag>[!-+\--~]{1,200}),)?"
    r"(?:a:(?P<stream>\d{1,3}),)?(?:ch:(?P<channel>\d{1,3}),)?"
)
"""What may stand behind the last `#`, with a comma put at its end."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://")


class InvalidMediaReference(InputError):
    """Text that names no readable kind of media."""

    code = "INVALID_MEDIA_REFERENCE"


@dataclass(frozen=True, slots=True)
class MediaRef:
    """A file to read: where it is, and which audio in it.

    `stream` counts audio streams from 0 (None: the first that is not commentary). `channel` counts channels from 0
    (None: downmix). An object in S3 may be pinned to its `version`, or to its `etag` (without quotes) where the bucket
    keeps no versions.
    """

    scheme: MediaScheme
    location: str
    stream: int | None = None
    channel: int | None = None
    version: str | None = None
    etag: str | None = None

    @property
    def is_pinned(self) -> bool:
        return self.version is not None or self.etag is not None

    def __str__(self) -> str:
        named = {"v": self.version, "e": self.etag, "a": self.stream, "ch": self.channel}
        parts = [f"{name}:{value}" for name, value in named.items() if value is not None]
        return self.location + ("#" + ",".join(parts) if parts else "")


def parse_media_ref(text: str) -> MediaRef:
    """Read `path`, `s3://bucket/key` or `https://...`, with an optional `#a:1`, `#ch:0` or `#a:1,ch:0` behind it.

    An object in S3 may be pinned there too: `#v:<version id>` or `#e:<etag>`, before the others.

    Raises
    ------
    InvalidMediaReference
        If the text is empty, holds control characters, or names another scheme.

    Examples
    --------
    >>> parse_media_ref("/mnt/data/dub.mov#a:1").stream
    1
    >>> parse_media_ref("s3://studio/dub.mov#v:3sL4kq,a:1").version
    '3sL4kq'
    """
    if not text.strip():
        raise InvalidMediaReference("the path is missing")
    if _CONTROL.search(text):
        raise InvalidMediaReference("the path holds control characters")
    location, selected = _without_selector(text)
    stream, channel = selected.get("stream"), selected.get("channel")
    return MediaRef(
        _scheme(location),
        location,
        int(stream) if stream else None,
        int(channel) if channel else None,
        selected.get("version"),
        selected.get("etag"),
    )


def _without_selector(text: str) -> tuple[str, Mapping[str, str | None]]:
    """Split off what the last `#` selects; elsewhere than in S3, what would pin a version is part of the name."""
    location, _, tail = text.rpartition("#")
    selector = _SELECTOR.fullmatch(f"{tail},") if location and tail else None
    if selector is None:
        return text, {}
    selected = selector.groupdict()
    pins = selected["version"] or selected["etag"]
    return (text, {}) if pins and not _is_in_s3(location) else (location, selected)


def _is_in_s3(location: str) -> bool:
    return location[: len("s3://")].lower() == "s3://"


def _scheme(location: str) -> MediaScheme:
    match = _SCHEME.match(location)
    if not match:
        return MediaScheme.FILE
    name = match[0][:-3].lower()
    if name == "s3":
        bucket, key = bucket_and_key(location)
        if not bucket or not key.strip("/"):
            raise InvalidMediaReference(f"{location} needs a bucket and a key, as in s3://bucket/key")
        return MediaScheme.S3
    if name == "https":
        return MediaScheme.HTTPS
    raise InvalidMediaReference(f"{name}:// is not a kind of media that is read here; use a path, s3:// or https://")


def bucket_and_key(location: str) -> tuple[str, str]:
    """Take an s3:// address apart. Keys may hold what in other addresses would start a query or a fragment.

    Examples
    --------
    >>> bucket_and_key("s3://studio/films/a?.wav")
    ('studio', 'films/a?.wav')
    """
    bucket, _, key = location[len("s3://") :].partition("/")
    return bucket, key


@dataclass(frozen=True, slots=True)
class MediaPolicy:
    """Which media the service may read.

    `roots` are absolute folders. `relative_to` is the folder that relative paths are taken against, on disk or
    `s3://bucket/folder`, or None where relative paths mean nothing. `unrestricted` lifts the roots: the command line
    reads what its user may.
    """

    roots: tuple[str, ...] = ()
    allowed_buckets: tuple[str, ...] = ()
    https_enabled: bool = False
    https_max_bytes: int = 100_000_000_000
    https_max_seconds: float = 1800.0
    relative_to: str | None = None
    unrestricted: bool = False

    def check(self, ref: MediaRef) -> MediaRef:
        """Return the reference with an absolute, normalised path, or refuse it.

        Raises
        ------
        PathNotAllowed
            If the path is lexically outside the roots, the bucket not allowed, or https off.
        """
        ref = self._absolute(ref)
        if ref.scheme is MediaScheme.FILE:
            return replace(ref, location=self._local(ref.location))
        if ref.scheme is MediaScheme.S3 and not self._allows_bucket(bucket_and_key(ref.location)[0]):
            raise PathNotAllowed(
                f"{ref.location} is in none of the buckets that this service may read; add its bucket to "
                "SYNC_ALLOWED_BUCKETS"
            )
        if ref.scheme is MediaScheme.HTTPS and not self.https_enabled:
            raise PathNotAllowed(
                f"{ref.location}: reading over https is switched off here; SYNC_HTTPS_MEDIA=true switches it on"
            )
        return ref

    def _allows_bucket(self, bucket: str) -> bool:
        return self.unrestricted or bucket in self.allowed_buckets

    def _absolute(self, ref: MediaRef) -> MediaRef:
        """Take a relative path against its folder, which may be one in S3."""
        if ref.scheme is not MediaScheme.FILE or posixpath.isabs(ref.location):
            return ref
        if self.relative_to is None:
            raise PathNotAllowed(f"{ref.location} is relative; give an absolute path")
        if not _is_in_s3(self.relative_to):
            return replace(ref, location=posixpath.join(self.relative_to, ref.location))
        bucket, folder = bucket_and_key(self.relative_to)
        key = posixpath.normpath(posixpath.join(folder, ref.location))
        if key.split("/")[0] in ("", ".", ".."):
            raise PathNotAllowed(f"{ref.location} leads out of the bucket")
        return replace(ref, scheme=MediaScheme.S3, location=f"s3://{bucket}/{key}")

    def _local(self, location: str) -> str:
        path = posixpath.normpath(location)
        if not self.unrestricted and not is_inside(path, self.roots):
            raise PathNotAllowed(f"{path} is outside the media roots ({', '.join(self.roots) or 'none are set'})")
        return path


def is_inside(path: str, roots: Sequence[str]) -> bool:
    """Tell whether a normalised absolute path lies in one of the folders; `/mnt/data2` is not in `/mnt/data`."""
    folder = path.rstrip("/") + "/"
    return any(folder.startswith(posixpath.normpath(root).rstrip("/") + "/") for root in roots)
