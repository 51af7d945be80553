"""Look at the start whether the resources are there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from botocore.exceptions import BotoCoreError, ClientError

from sync_core.backends.aws.clients import Clients
from sync_core.backends.aws.resources import AwsResources
from sync_core.backends.aws.trouble import Patience, error_code, patiently
from sync_core.domain.errors import ConfigurationError, TransientError

_MISSING = frozenset(
    {
        "404",
        "AWS.SimpleQueueService.NonExistentQueue",
        "NoSuchBucket",
        "NotFound",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
    }
)
_PATIENCE = Patience(attempts=3, give_up_seconds=5.0)


async def check_resources(clients: Clients, resources: AwsResources) -> None:
    """Ask AWS about each resource.

    Raises
    ------
    ConfigurationError
        If some are missing, or AWS cannot be asked.
    """
    try:
        found = await asyncio.gather(
            _problem(f"table {resources.table}", _ask_table, clients, resources.table),
            _problem(f"bucket {resources.bucket}", _ask_bucket, clients, resources.bucket),
            *(_problem(f"queue {url.rpartition('/')[2]}", _ask_queue, clients, url) for url in _urls(resources)),
        )
    except (TransientError, BotoCoreError, ClientError) as error:
        raise ConfigurationError(f"AWS cannot be asked for the resources: {error}") from error
    missing = [name for name in found if name]
    if missing:
        raise ConfigurationError(
            f"These AWS resources are missing: {', '.join(missing)}. Make them with `sam deploy --guided`; "
            "on one machine, `sync-analyzer serve --backend aws --local` makes its own."
        )


def _urls(resources: AwsResources) -> list[str]:
    return [*resources.queue_urls.values(), *resources.dead_letter_urls.values()]


async def _problem(
    name: str, ask: Callable[[Clients, str], Awaitable[object]], clients: Clients, where: str
) -> str | None:
    """Give the resource's name if it is not there."""
    try:
        await patiently(_PATIENCE, ask, clients, where)
    except ClientError as error:
        if error_code(error) in _MISSING:
            return name
        raise
    except TransientError as error:
        if error.__cause__ is not None and error_code(error.__cause__) in _MISSING:
            return name
        raise
    return None


async def _ask_table(clients: Clients, name: str) -> object:
    return await (await clients.dynamodb()).describe_table(TableName=name)


async def _ask_bucket(clients: Clients, name: str) -> object:
    return await (await clients.s3()).head_bucket(Bucket=name)


async def _ask_queue(clients: Clients, url: str) -> object:
    return await (await clients.sqs()).get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
