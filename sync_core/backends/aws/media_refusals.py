"""What S3 means when it refuses a media object, said so that its owner knows what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from botocore.exceptions import ClientError

from sync_core.domain.errors import (
    MediaArchived,
    MediaCorrupt,
    MediaError,
    MediaForbidden,
    MediaInOtherRegion,
    MediaNotFound,
)
from sync_core.domain.media import MediaRef, bucket_and_key
from sync_core.domain.remote_media import Refusal

_OF_STATUS = {301: "PermanentRedirect", 307: "PermanentRedirect", 403: "AccessDenied", 404: "NoSuchKey"}
"""What an answer without a body means."""
_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})
_FORBIDDEN = frozenset({"403", "AccessDenied", "AccountProblem", "AllAccessDisabled", "Forbidden", "InvalidPayer"})
_ELSEWHERE = frozenset({"301", "IllegalLocationConstraintException", "PermanentRedirect", "TemporaryRedirect"})
_SIGNED_FOR_ELSEWHERE = frozenset({"AuthorizationHeaderMalformed", "AuthorizationQueryParametersError"})
_STALE = frozenset({"ExpiredToken", "InvalidToken", "RequestExpired", "TokenRefreshRequired"})


@dataclass(frozen=True, slots=True)
class S3Refusal:
    """S3's code of an error, its message, and the details that some of them have."""

    code: str
    message: str
    region: str | None = None
    storage_class: str | None = None

    @classmethod
    def of_answer(cls, refusal: Refusal) -> Self:
        """Read the XML of an answer over HTTP."""
        code = _element("Code", refusal.body) or _OF_STATUS.get(refusal.status, str(refusal.status))
        region = _element("Region", refusal.body) or refusal.region
        return cls(code, _element("Message", refusal.body) or "", region, _element("StorageClass", refusal.body))

    @classmethod
    def of_error(cls, error: ClientError) -> Self:
        """Read an error of a client."""
        details = error.response.get("Error", {})
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        told = {name: str(value) for name, value in details.items()}
        region = told.get("Region") or headers.get("x-amz-bucket-region")
        return cls(told.get("Code", ""), told.get("Message", ""), region, told.get("StorageClass"))

    @property
    def is_stale(self) -> bool:
        """True if a signature had grown too old, so that a new one may be taken."""
        return self.code in _STALE or (self.code == "AccessDenied" and "expired" in self.message.lower())

    def as_media_error(self, ref: MediaRef) -> MediaError | None:
        """Say what it means for the object; None if it says nothing about the object."""
        place, (bucket, _) = ref.location, bucket_and_key(ref.location)
        if self.code in _ABSENT:
            return MediaNotFound(f"{place} does not exist; check bucket and key, or upload it and retry the item")
        if self.code in ("NoSuchVersion", "MethodNotAllowed"):
            return MediaNotFound(f"{place} is no longer there as it was (version {ref.version}); upload it again")
        if self.code == "NoSuchBucket":
            return MediaNotFound(f"{place}: there is no bucket {bucket}; check its name")
        if self.code in _FORBIDDEN and not self.is_stale:
            return MediaForbidden(
                f"{place} may not be read ({self.message or self.code}); allow the workers' role s3:GetObject, "
                f"s3:GetObjectVersion and s3:ListBucket on bucket {bucket}, and kms:Decrypt on its key if it has one"
            )
        if self.code == "InvalidObjectState":
            return MediaArchived(
                f"{place} is archived ({self.storage_class or 'Glacier'}); restore it in S3, then retry the item"
            )
        if self.code in _ELSEWHERE or (self.code in _SIGNED_FOR_ELSEWHERE and self.region):
            return MediaInOtherRegion(
                f"{place}: bucket {bucket} is in {self.region or 'another region'}; run workers there (AWS_REGION), or "
                "copy it into a bucket of their region"
            )
        if self.code == "InvalidRange":
            return MediaCorrupt(f"{place} is empty (0 bytes); upload it again")
        return None


def _element(name: str, xml: str) -> str | None:
    found = re.search(f"<{name}>([^<]*)</{name}>", xml)
    return found[1] if found else None
