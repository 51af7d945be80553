"""Answers that are too large for API Gateway, kept in the bucket for a while and fetched by a presigned address."""

from __future__ import annotations

from uuid import uuid4

from sync_core.backends.aws.open import AwsBackend
from sync_core.backends.aws.trouble import Patience, patiently

_FOLDER = "answers/"
_PATIENCE = Patience()


async def store_answer(
    backend: AwsBackend, content: bytes, *, content_type: str, disposition: str, valid_seconds: int
) -> str:
    """Store an answer, and give an address that serves it with its own type and disposition.

    The bucket's lifecycle removes it after a day.
    """
    s3, bucket = await backend.clients.s3(), backend.resources.bucket
    key = f"{_FOLDER}{uuid4().hex}"
    await patiently(_PATIENCE, s3.put_object, Bucket=bucket, Key=key, Body=content, ContentType=content_type)
    asked = {"ResponseContentDisposition": disposition}
    return await s3.generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": key, **asked}, ExpiresIn=valid_seconds
    )
