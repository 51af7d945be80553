"""The clients of one process, made when they are first needed: a status request pays for DynamoDB's alone."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import cache
from typing import TYPE_CHECKING, Any

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_sqs import SQSClient

# Retries are `trouble.patiently`'s, which knows what an ambiguous answer means; botocore's would hide them.
_CONFIG = AioConfig(
    connect_timeout=2.0,
    read_timeout=10.0,
    retries={"total_max_attempts": 1},
    max_pool_connections=64,
    tcp_keepalive=True,
)
# Presigned addresses are signed by version 2 where nothing is said, which objects under keys of one's own refuse.
_CONFIGS = {"s3": _CONFIG.merge(AioConfig(signature_version="s3v4"))}


@cache
def _session() -> AioSession:
    """Give the session of this process: it parses AWS's descriptions of its services, which takes a while."""
    return get_session()


class Clients:
    """DynamoDB, SQS, S3 and Secrets Manager of one account and region.

    Parameters
    ----------
    endpoint_url, region
        What AWS's own variables say, if None.
    """

    def __init__(self, *, endpoint_url: str | None = None, region: str | None = None) -> None:
        self._where: dict[str, Any] = {"endpoint_url": endpoint_url, "region_name": region}
        self._made: dict[str, Any] = {}
        self._making = asyncio.Lock()
        self._open = AsyncExitStack()

    async def dynamodb(self) -> DynamoDBClient:
        client: DynamoDBClient = await self._client("dynamodb")
        return client

    async def sqs(self) -> SQSClient:
        client: SQSClient = await self._client("sqs")
        return client

    async def s3(self) -> S3Client:
        client: S3Client = await self._client("s3")
        return client

    async def secretsmanager(self) -> Any:  # noqa: ANN401 - asked one question, which needs no types
        return await self._client("secretsmanager")

    async def close(self) -> None:
        self._made.clear()
        await self._open.aclose()

    async def _client(self, service: str) -> Any:  # noqa: ANN401 - one of four, narrowed by the caller
        if service not in self._made:
            async with self._making:
                if service not in self._made:
                    create: Any = _session().create_client  # typed by a literal for each service
                    client = create(service, config=_CONFIGS.get(service, _CONFIG), **self._where)
                    self._made[service] = await self._open.enter_async_context(client)
        return self._made[service]
