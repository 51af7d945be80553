"""Media in S3: pinned by a small read, and lent to whoever speaks HTTP by presigned addresses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import ClientError

from sync_core.backends.aws.clients import Clients
from sync_core.backends.aws.media_refusals import S3Refusal
from sync_core.backends.aws.trouble import Patience, patiently
from sync_core.domain.errors import StorageUnavailable
from sync_core.domain.media import MediaPolicy, MediaRef, MediaScheme, bucket_and_key
from sync_core.domain.remote_media import Refusal

VALID_SECONDS = 3600
"""How long an address is good for, unless the credentials end before."""
_NO_VERSIONS = "null"


@dataclass(frozen=True, slots=True)
class AwsMediaObjects:
    """The MediaObjects port on the buckets that a policy allows."""

    clients: Clients
    policy: MediaPolicy
    patience: Patience = field(default_factory=Patience)

    async def pin(self, ref: MediaRef) -> MediaRef:
        """Pin by reading the first byte: unlike a HEAD, that also tells why the content may not be read.

        In a bucket whose versioning is suspended, objects are overwritten in place, so their ETag counts.
        """
        if ref.scheme is not MediaScheme.S3 or ref.is_pinned:
            return ref
        found = await patiently(self.patience, self._first_byte, self.policy.check(ref))
        version = found.get("VersionId", _NO_VERSIONS)
        if version != _NO_VERSIONS:
            return replace(ref, version=version)
        return replace(ref, etag=found["ETag"].strip('"'))

    async def address(self, ref: MediaRef, refusal: Refusal | None = None) -> str:
        """Sign an address for a while, unless the one before was refused for another reason than its age."""
        if refusal is not None:
            _raise_unless_stale(S3Refusal.of_answer(refusal), self.policy.check(ref), refusal.status)
        s3 = await self.clients.s3()
        where = _where(self.policy.check(ref))
        return await patiently(
            self.patience, s3.generate_presigned_url, "get_object", Params=where, ExpiresIn=VALID_SECONDS
        )

    async def close(self) -> None:
        """Close the connections."""
        await self.clients.close()

    async def _first_byte(self, ref: MediaRef) -> dict[str, Any]:
        s3 = await self.clients.s3()
        try:
            found = await s3.get_object(**_where(ref), Range="bytes=0-0")
        except ClientError as error:
            meaning = S3Refusal.of_error(error).as_media_error(ref)
            if meaning is None:
                raise
            raise meaning from error
        found["Body"].close()
        return dict(found)


def open_media_objects(policy: MediaPolicy) -> AwsMediaObjects:
    """Make the adapter, with clients of its own; nothing is sent before the first call."""
    return AwsMediaObjects(Clients(), policy)


def _raise_unless_stale(refusal: S3Refusal, ref: MediaRef, status: int) -> None:
    if refusal.is_stale:
        return
    meaning = refusal.as_media_error(ref)
    if meaning is not None:
        raise meaning
    raise StorageUnavailable(
        f"S3 refused to give {ref.location} ({status} {refusal.code}: {refusal.message}); "
        "check the workers' credentials and clock"
    )


def _where(ref: MediaRef) -> dict[str, Any]:
    bucket, key = bucket_and_key(ref.location)
    return {"Bucket": bucket, "Key": key, **({"VersionId": ref.version} if ref.version else {})}
