"""Reports in S3. An object is there wholly or not at all, and is read as it was last written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sync_core.backends.aws.clients import Clients
from sync_core.backends.aws.trouble import Patience, error_code, patiently
from sync_core.domain.errors import NotFound, StorageUnavailable

if TYPE_CHECKING:
    from types_aiobotocore_s3.type_defs import DeleteTypeDef

_FOLDER = "reports/"
_KEYS_PER_DELETION = 1000


class AwsReportStore:
    """The ReportStore port on one bucket, under `reports/`."""

    def __init__(self, clients: Clients, bucket: str, patience: Patience) -> None:
        self._clients = clients
        self._bucket = bucket
        self._patience = patience

    async def put(self, key: str, content: bytes) -> None:
        s3, name = await self._clients.s3(), _object_name(key)
        kind = "application/json" if key.endswith(".json") else "application/octet-stream"
        await patiently(self._patience, s3.put_object, Bucket=self._bucket, Key=name, Body=content, ContentType=kind)

    async def get(self, key: str) -> bytes:
        s3, name = await self._clients.s3(), _object_name(key)

        async def read() -> bytes:
            answer = await s3.get_object(Bucket=self._bucket, Key=name)
            async with answer["Body"] as body:
                return await body.read()

        try:
            return await patiently(self._patience, read)
        except ClientError as error:
            if error_code(error) != "NoSuchKey":
                raise
            raise NotFound(f"There is no report {key}.") from None

    async def discard(self, prefix: str, *, keep: str | None) -> None:
        kept = None if keep is None else _object_name(keep)
        names = [name for name in await self._names(_object_name(f"{prefix}*").removesuffix("*")) if name != kept]
        for at in range(0, len(names), _KEYS_PER_DELETION):
            await self._delete(names[at : at + _KEYS_PER_DELETION])

    async def _names(self, prefix: str) -> list[str]:
        s3, names, after = await self._clients.s3(), [], ""
        while True:
            start: Any = {"StartAfter": after} if after else {}
            answer = await patiently(self._patience, s3.list_objects_v2, Bucket=self._bucket, Prefix=prefix, **start)
            names += [entry["Key"] for entry in answer.get("Contents", ())]
            if not answer["IsTruncated"]:
                return names
            after = names[-1]

    async def _delete(self, names: list[str]) -> None:
        """Delete objects; S3 answers for each of them, and those that failed are tried again."""
        s3, pauses = await self._clients.s3(), self._patience.pauses()
        while names:
            wanted: DeleteTypeDef = {"Objects": [{"Key": name} for name in names], "Quiet": True}
            answer = await patiently(self._patience, s3.delete_objects, Bucket=self._bucket, Delete=wanted)
            names = [error["Key"] for error in answer.get("Errors", ())]
            if names and (pause := next(pauses, None)) is not None:
                await self._patience.sleep(pause)
            elif names:
                raise StorageUnavailable(f"S3 does not delete {len(names)} reports: {answer['Errors'][0]}.")


def _object_name(key: str) -> str:
    """Give the object of a key; a key that could lead elsewhere, on whatever reads the bucket, names no report."""
    if any(part in ("", ".", "..") for part in key.split("/")) or "\0" in key:
        raise NotFound(f"{key!r} is not the key of a report.")
    return _FOLDER + key
