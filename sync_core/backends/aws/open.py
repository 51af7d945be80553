"""Open the AWS back end: clients that connect when first used, and the adapters over them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sync_core.backends.aws.batch_store import AwsBatchStore
from sync_core.backends.aws.clients import Clients
from sync_core.backends.aws.drop_store import AwsDropStore
from sync_core.backends.aws.event_outbox import AwsEventOutbox
from sync_core.backends.aws.idempotency_keys import AwsIdempotencyKeys
from sync_core.backends.aws.inspection import check_resources
from sync_core.backends.aws.report_store import AwsReportStore
from sync_core.backends.aws.resources import AwsResources
from sync_core.backends.aws.table import Table
from sync_core.backends.aws.trouble import Patience
from sync_core.backends.aws.work_queue import AwsWorkQueue
from sync_core.backends.aws.worker_registry import AwsWorkerRegistry

_RETENTION = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class AwsBackend:
    """All adapters over one set of resources; any number of processes may have the same ones open."""

    clients: Clients
    resources: AwsResources
    batch_store: AwsBatchStore
    work_queue: AwsWorkQueue
    report_store: AwsReportStore
    event_outbox: AwsEventOutbox
    worker_registry: AwsWorkerRegistry
    idempotency_keys: AwsIdempotencyKeys
    drop_store: AwsDropStore

    async def check(self) -> None:
        """Look whether all resources are there; for the start of a process.

        Raises
        ------
        ConfigurationError
            If some are missing or may not be used; the message names them and says how to make them.
        """
        await check_resources(self.clients, self.resources)

    async def close(self) -> None:
        """Close the connections."""
        await self.clients.close()


def open_backend(
    resources: AwsResources,
    *,
    endpoint_url: str | None = None,
    region: str | None = None,
    retention: timedelta = _RETENTION,
    patience: Patience = Patience(),  # noqa: B008 - a frozen value
) -> AwsBackend:
    """Make the adapters; nothing is sent before the first call.

    Parameters
    ----------
    endpoint_url, region
        What AWS's own variables say, if None.
    retention
        How long batches and idempotency keys are kept.
    """
    clients = Clients(endpoint_url=endpoint_url, region=region)
    table = Table(clients, resources.table, patience)
    return AwsBackend(
        clients,
        resources,
        AwsBatchStore(table, retention=retention, patience=patience),
        AwsWorkQueue(clients, resources, patience),
        AwsReportStore(clients, resources.bucket, patience),
        AwsEventOutbox(table),
        AwsWorkerRegistry(table),
        AwsIdempotencyKeys(table, retention=retention),
        AwsDropStore(clients, resources.bucket, patience),
    )
