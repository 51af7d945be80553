"""Deliver webhooks.

On AWS a Lambda function: the table's stream tells it of new events, and a schedule has it send each minute what is due.
On one machine a process beside `serve`: `python -m handlers.webhooks`. It touches no batch, and leaves the processor to
those that do.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from handlers.backends import check_configured, open_configured
from handlers.logs import set_up_logging
from handlers.metrics import EmfWriter, MeteredDelivery
from handlers.settings import WebhookSettings, read_settings
from handlers.stopping import stop_when_asked
from handlers.version import VERSION
from sync_core.backends.web.webhook_sender import HttpWebhookSender
from sync_core.domain.errors import ConfigurationError
from sync_core.jobs.deliver_webhooks import DeliveryLoop, DeliveryPolicy
from sync_core.jobs.ports.backend import Backend
from sync_core.jobs.ports.clock import SystemClock
from sync_core.jobs.webhook_address import WebhookAddresses
from sync_core.jobs.webhook_secrets import parse_secrets

if TYPE_CHECKING:
    from sync_core.backends.aws.open import AwsBackend

log = logging.getLogger(__name__)

_LOOK_UPS = 32
_NICENESS = 10
_MARGIN_SECONDS = 5.0
_POLL_SECONDS = {"embedded": 1.0, "aws": 2.0}
_metrics = EmfWriter("webhooks")


class _LookUps(ThreadPoolExecutor):
    """Threads that resolve names. One that hangs is left behind: nobody waits for its answer any more."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - as it is called
        super().shutdown(wait=False, cancel_futures=True)


def handler(event: Mapping[str, Any], context: Any) -> None:  # noqa: ANN401 - Lambda's own, which has no types
    """Deliver what the stream tells of, or else what is due.

    What there is no time for stays due, and is the next invocation's.
    """
    settings = read_settings(WebhookSettings)
    set_up_logging(settings.log_level, settings.log_format)
    left_seconds = context.get_remaining_time_in_millis() / 1000
    asyncio.run(_deliver_once(settings, event, left_seconds - settings.webhook_timeout_seconds - _MARGIN_SECONDS))
    if settings.metrics_format == "emf":
        _metrics.write()


async def _deliver_once(settings: WebhookSettings, event: Mapping[str, Any], seconds: float) -> None:
    from sync_core.backends.aws.stream import batches_with_events

    batch_ids = batches_with_events(event)
    async with _open_loop(settings) as (loop, backend):
        if not batch_ids:
            await loop.drain(until=SystemClock().now() + timedelta(seconds=seconds))
            return
        told = await asyncio.gather(*map(backend.event_outbox.deliveries, batch_ids))
        await loop.send(delivery for deliveries in told for delivery in deliveries if delivery.is_new)


def main(*, stop_with_stdin: bool = False) -> None:
    """Deliver until SIGTERM or SIGINT, or the end of standard input.

    Raises
    ------
    ConfigurationError
        If the settings or the back end cannot be used.
    """
    settings = read_settings(WebhookSettings)
    set_up_logging(settings.log_level, settings.log_format)
    os.nice(_NICENESS)
    asyncio.run(_deliver_for_ever(settings, stop_with_stdin=stop_with_stdin))


async def _deliver_for_ever(settings: WebhookSettings, *, stop_with_stdin: bool) -> None:
    await check_configured(settings)
    async with _open_loop(settings) as (loop, _backend):
        stop_when_asked(loop.stop, with_stdin=stop_with_stdin)
        if loop.deliver.sender.obstacle is not None:
            log.info("webhooks are recorded and not sent: %s", loop.deliver.sender.obstacle)
        await loop.run()


@asynccontextmanager
async def _open_loop(settings: WebhookSettings) -> AsyncIterator[tuple[DeliveryLoop, Backend]]:
    """Wire back end, sender and loop, and close them in the end."""
    asyncio.get_running_loop().set_default_executor(_LookUps(_LOOK_UPS, "look-up"))
    backend = open_configured(settings)
    try:
        sender = await _build_sender(settings, backend)
        try:
            yield _build_loop(settings, backend, sender), backend
        finally:
            await sender.close()
    finally:
        await backend.close()


def _build_loop(settings: WebhookSettings, backend: Backend, sender: HttpWebhookSender) -> DeliveryLoop:
    lease_seconds = 2 * settings.webhook_timeout_seconds + _MARGIN_SECONDS
    deliver = MeteredDelivery(backend.event_outbox, sender, SystemClock(), lease_seconds=lease_seconds)
    return DeliveryLoop(deliver, DeliveryPolicy(poll_seconds=_POLL_SECONDS[settings.backend]))


async def _build_sender(settings: WebhookSettings, backend: Backend) -> HttpWebhookSender:
    return HttpWebhookSender(
        WebhookAddresses(settings.webhook_allow_private),
        secrets=await _secrets(settings, backend),
        allow_unsigned=settings.webhook_allow_unsigned,
        timeout_seconds=settings.webhook_timeout_seconds,
        user_agent=f"sync-analyzer/{VERSION}",
    )


async def _secrets(settings: WebhookSettings, backend: Backend) -> tuple[str, ...]:
    """Give the environment's secrets, and those that are kept by AWS."""
    kept_by_aws = settings.aws_webhook_secrets
    if settings.backend != "aws" or kept_by_aws is None:
        return settings.signing_secrets
    from sync_core.backends.aws.secrets import read_secret

    aws: AwsBackend = backend  # type: ignore[assignment]  # what the settings name has been opened
    return (*settings.signing_secrets, *parse_secrets(await read_secret(aws.clients, kept_by_aws)))


if __name__ == "__main__":
    try:
        main()
    except ConfigurationError as error:
        raise SystemExit(error.message) from error
