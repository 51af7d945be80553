"""Dropped objects and results in one bucket, which keeps versions."""

from __future__ import annotations

import posixpath
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from sync_core.backends.aws.clients import Clients
from sync_core.backends.aws.trouble import Patience, error_code, patiently
from sync_core.domain.errors import StorageUnavailable
from sync_core.domain.media import MediaRef, MediaScheme
from sync_core.jobs.ports.drop_store import DropObject, DropUnreadable

_PART_BYTES = 8 * 1024 * 1024
_BY_ETAG = "etag:"
_NO_VERSION = "null"
"""What S3 calls the only version of an object whose bucket keeps none."""
_GONE = frozenset({"404", "405", "412", "MethodNotAllowed", "NoSuchKey", "NoSuchVersion", "PreconditionFailed"})
_UNREADABLE = frozenset({"403", "AccessDenied", "InvalidObjectState"})
_OF_ITS_KEY = "KMS."

Entry = Mapping[str, Any]


def version_named(version_id: str | None, etag: str | None) -> str | None:
    """Give the version that an event or an answer names: by its id, or by its ETag where the bucket keeps none."""
    if version_id and version_id != _NO_VERSION:
        return version_id
    bare = (etag or "").strip('"')
    return f"{_BY_ETAG}{bare}" if bare else None


class AwsDropStore:
    """The DropStore port on one bucket."""

    knows_versions = True

    def __init__(self, clients: Clients, bucket: str, patience: Patience) -> None:
        self.source = f"s3://{bucket}"
        self._clients = clients
        self._bucket = bucket
        self._patience = patience

    def folder_reference(self, key: str) -> str:
        return f"{self.source}/{posixpath.dirname(key)}"

    async def find(self, key: str, version: str | None = None) -> DropObject | None:
        head = await self._ask("head_object", key, **_wanted_id(version))
        if head is None:
            return None
        found = version_named(head.get("VersionId"), head["ETag"])
        etag = version_named(None, head["ETag"])
        if found is None or version not in (None, found, etag):
            return None
        return self._object(key, found, head["ContentLength"])

    async def read(self, found: DropObject) -> bytes | None:
        wanted: dict[str, str] = _wanted_id(found.version)
        if not wanted:
            wanted = {"IfMatch": f'"{found.version.removeprefix(_BY_ETAG)}"'}
        answer = await self._ask("get_object", found.key, **wanted)
        return None if answer is None else bytes(answer["Content"])

    async def beside(self, found: DropObject) -> Sequence[DropObject]:
        folder = f"{posixpath.dirname(found.key)}/"
        entries = [entry async for entry in self._versions(folder)]
        came_at = next(
            (
                entry["LastModified"]
                for entry in entries
                if entry["Key"] == found.key and _version(entry) == found.version
            ),
            None,
        )
        newest = _newest_of_each(entries, came_at)
        return [self._object(entry["Key"], str(_version(entry)), entry["Size"]) for entry in newest]

    async def unfinished(self, references: Iterable[str]) -> Sequence[str]:  # noqa: ARG002 - what S3 shows is whole
        return ()

    async def keys(self, prefix: str) -> Sequence[str]:
        s3 = await self._clients.s3()
        keys: list[str] = []
        while True:
            start: Any = {"StartAfter": keys[-1]} if keys else {}
            answer = await patiently(self._patience, s3.list_objects_v2, Bucket=self._bucket, Prefix=prefix, **start)
            keys += [entry["Key"] for entry in answer.get("Contents", ())]
            if not answer["IsTruncated"]:
                return keys

    async def write(self, key: str, content: AsyncIterator[bytes]) -> None:
        """Write in one request, or in parts of 8 MiB which become an object once all are there.

        Parts of a write that broke off are cleared by the bucket's lifecycle.
        """
        kind = "text/csv" if key.endswith(".csv") else "application/json"
        upload = _Upload(self, key, kind)
        async for chunk in content:
            await upload.add(chunk)
        await upload.finish()

    async def remove(self, key: str) -> None:
        """Remove an object; one that is not there gets no mark of having been deleted."""
        if await self._ask("head_object", key) is not None:
            await self.send("delete_object", Key=key)

    async def send(self, operation: str, **request: object) -> Mapping[str, Any]:
        """Send a request about the bucket until it is answered."""
        s3: Any = await self._clients.s3()
        answer: Mapping[str, Any] = await patiently(
            self._patience, getattr(s3, operation), Bucket=self._bucket, **request
        )
        return answer

    async def _ask(self, operation: str, key: str, **wanted: str) -> Mapping[str, Any] | None:
        """Ask for an object, with its content where that is asked for; None if there is no such version."""
        s3: Any = await self._clients.s3()

        async def ask() -> Mapping[str, Any]:
            answer: Mapping[str, Any] = await getattr(s3, operation)(Bucket=self._bucket, Key=key, **wanted)
            if "Body" not in answer:
                return answer
            async with answer["Body"] as body:
                return {**answer, "Content": await body.read()}

        try:
            return await patiently(self._patience, ask)
        except (ClientError, StorageUnavailable) as error:
            code = error_code(error if isinstance(error, ClientError) else error.__cause__ or error)
            if code in _GONE:
                return None
            if code in _UNREADABLE or code.startswith(_OF_ITS_KEY):
                raise DropUnreadable(
                    f"S3 does not let {self.source}/{key} be read ({code}); allow the service's role to read it, and "
                    "the key that it is encrypted with, or restore it from the archive."
                ) from error
            raise

    async def _versions(self, folder: str) -> AsyncIterator[Entry]:
        """List all versions in a folder, with the marks of those that were deleted."""
        request: dict[str, str] = {"Prefix": folder, "Delimiter": "/"}
        while True:
            answer = await self.send("list_object_versions", **request)
            for entry in answer.get("Versions", ()):
                yield entry
            for marker in answer.get("DeleteMarkers", ()):
                yield {**marker, "Size": None}
            if not answer["IsTruncated"]:
                return
            request |= {"KeyMarker": answer["NextKeyMarker"], "VersionIdMarker": answer["NextVersionIdMarker"]}

    def _object(self, key: str, version: str, size_bytes: int) -> DropObject:
        by_etag = version.startswith(_BY_ETAG)
        reference = MediaRef(
            MediaScheme.S3,
            f"{self.source}/{key}",
            version=None if by_etag else version,
            etag=version.removeprefix(_BY_ETAG) if by_etag else None,
        )
        return DropObject(key, version, size_bytes, str(reference))


class _Upload:
    """One object on its way, in parts where it is large."""

    def __init__(self, store: AwsDropStore, key: str, kind: str) -> None:
        self._store = store
        self._key = key
        self._kind = kind
        self._waiting = bytearray()
        self._upload_id: str | None = None
        self._parts: list[dict[str, object]] = []

    async def add(self, chunk: bytes) -> None:
        self._waiting += chunk
        if len(self._waiting) >= _PART_BYTES:
            await self._send_part()

    async def finish(self) -> None:
        if self._upload_id is None:
            await self._store.send("put_object", Key=self._key, Body=bytes(self._waiting), ContentType=self._kind)
            return
        if self._waiting:
            await self._send_part()
        await self._store.send(
            "complete_multipart_upload",
            Key=self._key,
            UploadId=self._upload_id,
            MultipartUpload={"Parts": self._parts},
        )

    async def _send_part(self) -> None:
        if self._upload_id is None:
            begun = await self._store.send("create_multipart_upload", Key=self._key, ContentType=self._kind)
            self._upload_id = begun["UploadId"]
        number = len(self._parts) + 1
        sent = await self._store.send(
            "upload_part", Key=self._key, UploadId=self._upload_id, PartNumber=number, Body=bytes(self._waiting)
        )
        self._parts.append({"ETag": sent["ETag"], "PartNumber": number})
        self._waiting.clear()


def _wanted_id(version: str | None) -> dict[str, str]:
    return {} if version is None or version.startswith(_BY_ETAG) else {"VersionId": version}


def _version(entry: Entry) -> str | None:
    return version_named(entry["VersionId"], entry.get("ETag"))


def _newest_of_each(entries: Iterable[Entry], came_at: datetime | None) -> list[Entry]:
    """Give the version of each object that was the newest at that moment; S3 tells seconds.

    A bucket without versions has only what is there now.
    """
    newest: dict[str, Entry] = {}
    for entry in entries:
        kept = newest.get(entry["Key"])
        was_there = came_at is None or entry["LastModified"] <= came_at or entry["VersionId"] == _NO_VERSION
        if was_there and (kept is None or _is_newer(entry, kept)):
            newest[entry["Key"]] = entry
    return [newest[key] for key in sorted(newest) if not _is_deletion(newest[key])]


def _is_newer(entry: Entry, kept: Entry) -> bool:
    """Compare two entries of one object, the second of which was listed before.

    S3 lists versions from the newest on, and by the moment of their end: uploads in parts carry that of their
    beginning. Marks of deletions are listed by themselves, so only their times tell.
    """
    if not (_is_deletion(entry) or _is_deletion(kept)):
        return False
    return (entry["LastModified"], entry["IsLatest"]) > (kept["LastModified"], kept["IsLatest"])


def _is_deletion(entry: Entry) -> bool:
    return entry["Size"] is None
