"""Send events over HTTP as Standard Webhooks 1.0 says: signed, to the address that was checked, in bounded time.

The name is resolved once for each attempt. What it gives is checked, and then connected to as it is; TLS and the Host
header still go by the name. A name that leads elsewhere the next moment gains nothing by it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx
from standardwebhooks import Webhook

from sync_core.jobs.ports.event_outbox import Event
from sync_core.jobs.ports.webhook_sender import Answer
from sync_core.jobs.webhook_address import InvalidWebhook, WebhookAddresses

_MOST_ADDRESSES = 4
_UNSIGNED = (
    "There is no secret to sign with: set SYNC_WEBHOOK_SECRETS to what `sync-analyzer webhooks secret` prints, "
    "or SYNC_WEBHOOK_ALLOW_UNSIGNED=true."
)
_SECONDS = re.compile(r"[0-9]{1,9}")


class HttpWebhookSender:
    """The WebhookSender port on HTTP.

    Parameters
    ----------
    addresses
        Which receivers are allowed.
    secrets
        Each of them signs, so that a receiver that knows the old or the new one is content while they are rotated.
    allow_unsigned
        Whether to send without a signature where there is no secret.
    timeout_seconds
        Time for one attempt, from the look-up of the name to the last header of the answer. No body is read.
    """

    def __init__(
        self,
        addresses: WebhookAddresses,
        *,
        secrets: Sequence[str],
        allow_unsigned: bool = False,
        timeout_seconds: float = 15.0,
        user_agent: str = "sync-analyzer",
    ) -> None:
        self._addresses = addresses
        self._signers = tuple(Webhook(secret) for secret in secrets)
        self._allow_unsigned = allow_unsigned
        self._timeout_seconds = timeout_seconds
        self._client = httpx.AsyncClient(
            headers={"user-agent": user_agent, "content-type": "application/json", "connection": "close"},
            verify=httpx.create_ssl_context(),
            follow_redirects=False,
            trust_env=False,  # a proxy would connect to wherever the name leads it
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    @property
    def obstacle(self) -> str | None:
        return None if self._signers or self._allow_unsigned else _UNSIGNED

    async def send(self, event: Event, *, now: datetime) -> Answer:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._post(event, now)
        except TimeoutError:
            return Answer(error=f"There was no answer within {self._timeout_seconds:g} s.")
        except InvalidWebhook as refused:
            return Answer(error=refused.message)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Answer(error=f"There was no answer: {error or type(error).__name__}")

    async def close(self) -> None:
        await self._client.aclose()

    async def _post(self, event: Event, now: datetime) -> Answer:
        url = httpx.URL(event.webhook_url or "")
        host = url.raw_host.decode()
        port = url.port or (443 if url.scheme == "https" else 80)
        found = await self._addresses.resolve(host, port, within_seconds=self._timeout_seconds / 2)
        if not found:
            return Answer(error=f"The host {host} cannot be resolved at the moment.")
        return await self._post_to_first(found[:_MOST_ADDRESSES], url, event, now)

    async def _post_to_first(self, addresses: Sequence[str], url: httpx.URL, event: Event, now: datetime) -> Answer:
        """Post to the first address that a connection can be made to; each gets its share of the time."""
        timeout = httpx.Timeout(None, connect=self._timeout_seconds / len(addresses))
        headers = {"host": url.netloc.decode(), **self._signed(event, now)}
        failure = httpx.ConnectError("no address")
        for address in addresses:
            request = self._client.build_request(
                "POST",
                url.copy_with(host=address),
                content=event.body,
                headers=headers,
                timeout=timeout,
                extensions={"sni_hostname": url.raw_host.decode()},
            )
            try:
                response = await self._client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = httpx.ConnectError(f"{address} cannot be connected to ({error or 'it takes too long'}).")
                continue
            await response.aclose()
            return _answer_of(response, now)
        raise failure

    def _signed(self, event: Event, now: datetime) -> dict[str, str]:
        """Give the headers that Standard Webhooks asks for; the signature is over the bytes that are sent."""
        text = event.body.decode()
        signatures = " ".join(signer.sign(event.event_id, now, text) for signer in self._signers)
        signed = {"webhook-signature": signatures} if signatures else {}
        return {"webhook-id": event.event_id, "webhook-timestamp": str(int(now.timestamp())), **signed}


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Read a Retry-After header: seconds, or an HTTP date; None where there is none that can be understood.

    Examples
    --------
    >>> retry_after_seconds("120", datetime.now(UTC)), retry_after_seconds("soon", datetime.now(UTC))
    (120.0, None)
    """
    if value is None:
        return None
    if _SECONDS.fullmatch(value.strip()):
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max((aware - now).total_seconds(), 0.0)


def _answer_of(response: httpx.Response, now: datetime) -> Answer:
    if response.is_success:
        return Answer(response.status_code)
    retry_after = retry_after_seconds(response.headers.get("retry-after"), now)
    return Answer(response.status_code, _failure(response), retry_after)


def _failure(response: httpx.Response) -> str:
    code = response.status_code
    if response.is_redirect:
        return f"It answered {code}, and redirects are not followed: give the address that it leads to."
    try:
        return f"It answered {code} {HTTPStatus(code).phrase}."
    except ValueError:
        return f"It answered {code}."
