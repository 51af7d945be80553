"""One attempt at one receiver, over real connections: every way in which a receiver can misbehave."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import secrets
import socket
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from sync_core.backends.web.webhook_sender import HttpWebhookSender, retry_after_seconds
from sync_core.domain.batch import EventType
from sync_core.jobs.ports.event_outbox import Event
from sync_core.jobs.ports.webhook_sender import Answer
from sync_core.jobs.webhook_address import InvalidWebhook, WebhookAddresses
from tests.fakes.authority import Authority
from tests.fakes.names import Names
from tests.fakes.receiver import CUT, HANG, OK, Receiver, Reply, receiving

SECRET = "whsec_" + base64.b64encode(b"a secret of 24 bytes or more").decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"the secret that was used before").decode()
TIMEOUT_SECONDS = 0.4
METADATA = "http://169.254.169.254/latest/meta-data"


def event(url: str, **data: object) -> Event:
    payload = {"type": "batch.started", "timestamp": "2026-03-01T12:00:00Z", "data": {"note": "délai “1”", **data}}
    batch_id = "batch_20260301_120000_0a1b2c3d"
    event_id = "evt_20260301_120000_0a1b2c3d_started"
    return Event(event_id, EventType.BATCH_STARTED, batch_id, url, datetime.now(UTC), payload)


def make_sender(*keys: str, allow_private: bool = True, **options) -> HttpWebhookSender:
    return HttpWebhookSender(
        WebhookAddresses(allow_private=allow_private),
        secrets=keys,
        **{"timeout_seconds": TIMEOUT_SECONDS, **options},
    )


@pytest.fixture
async def sender() -> AsyncIterator[HttpWebhookSender]:
    made = make_sender(SECRET)
    yield made
    await made.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


async def send(sender: HttpWebhookSender, url: str) -> Answer:
    return await sender.send(event(url), now=datetime.now(UTC))


async def test_signed_bytes_are_the_sent_bytes(sender: HttpWebhookSender, receiver: Receiver):
    told = event(receiver.url, more={"z": 1, "a": [1.5, None]})
    assert await sender.send(told, now=datetime.now(UTC)) == Answer(204)
    (request,) = receiver.requests
    assert request.verified(SECRET) == told.payload
    assert (request.method, request.path, request.body) == ("POST", "/hook", told.body)
    assert request.headers["content-type"] == "application/json"
    assert request.event_id == told.event_id
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"


async def test_a_changed_byte_id_or_time_is_no_longer_signed(sender: HttpWebhookSender, receiver: Receiver):
    await send(sender, receiver.url)
    (request,) = receiver.requests
    spoilt = [
        (request.body.replace(b"started", b"stopped"), request.headers),
        (request.body, {**request.headers, "webhook-id": "evt_other"}),
        (request.body, {**request.headers, "webhook-timestamp": str(int(request.headers["webhook-timestamp"]) + 1)}),
    ]
    for body, headers in spoilt:
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body, headers)


async def test_while_secrets_are_rotated_the_old_and_the_new_one_verify(receiver: Receiver):
    sender = make_sender(SECRET, OLD_SECRET)
    await send(sender, receiver.url)
    (request,) = receiver.requests
    assert request.verified(SECRET) == request.verified(OLD_SECRET)
    with pytest.raises(WebhookVerificationError):
        request.verified("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
    await sender.close()


async def test_without_a_secret_nothing_is_sent_and_it_says_what_to_set():
    sender = make_sender()
    assert "SYNC_WEBHOOK_SECRETS" in sender.obstacle
    assert "SYNC_WEBHOOK_ALLOW_UNSIGNED" in sender.obstacle
    await sender.close()


async def test_unsigned_only_where_that_is_allowed(receiver: Receiver):
    sender = make_sender(allow_unsigned=True)
    assert sender.obstacle is None
    assert (await send(sender, receiver.url)).error is None
    (request,) = receiver.requests
    assert "webhook-signature" not in request.headers
    assert request.event_id
    await sender.close()


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_a_2xx_is_success(sender: HttpWebhookSender, receiver: Receiver, status: int):
    receiver.will(Reply(status))
    assert await send(sender, receiver.url) == Answer(status)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418, 429, 500, 502, 503, 504])
async def test_a_500_and_any_other_status_is_a_failure(sender: HttpWebhookSender, receiver: Receiver, status: int):
    receiver.will(Reply(status))
    answer = await send(sender, receiver.url)
    assert answer.status_code == status
    assert str(status) in answer.error


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(sender: HttpWebhookSender, receiver: Receiver, status: int):
    async with receiving() as elsewhere:
        receiver.will(Reply(status, {"location": elsewhere.url}))
        answer = await send(sender, receiver.url)
        assert elsewhere.connections == 0
    assert answer.status_code == status
    assert "not followed" in answer.error


async def test_a_timeout_ends_the_attempt(sender: HttpWebhookSender, receiver: Receiver):
    receiver.will(HANG)
    began = time.monotonic()
    answer = await send(sender, receiver.url)
    assert answer.status_code is None
    assert "within 0.4 s" in answer.error
    assert TIMEOUT_SECONDS <= time.monotonic() - began < 20 * TIMEOUT_SECONDS


async def test_a_slow_receiver_that_drips_its_answer_is_cut_off(sender: HttpWebhookSender, receiver: Receiver):
    receiver.will(Reply(200, drip_seconds=0.1))
    answer = await send(sender, receiver.url)
    assert "within 0.4 s" in answer.error


async def test_a_cut_connection_is_a_failure(sender: HttpWebhookSender, receiver: Receiver):
    receiver.will(CUT)
    answer = await send(sender, receiver.url)
    assert answer.status_code is None
    assert "no answer" in answer.error


async def test_a_closed_port_is_a_failure(sender: HttpWebhookSender):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    answer = await send(sender, f"http://127.0.0.1:{port}/")
    assert "cannot be connected to" in answer.error


async def test_a_huge_body_is_not_read(sender: HttpWebhookSender, receiver: Receiver):
    receiver.will(Reply(200, body_bytes=2_000_000_000))
    assert await send(sender, receiver.url) == Answer(200)
    await receiver.stop()
    assert receiver.sent_bytes < 50_000_000


async def test_an_endless_head_is_a_failure(sender: HttpWebhookSender, receiver: Receiver):
    receiver.will(Reply(200, {"x-long": "x" * 10_000_000}))
    answer = await send(sender, receiver.url)
    assert answer.status_code is None
    assert answer.error


async def test_nonsense_is_a_failure(sender: HttpWebhookSender):
    async def babble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    answer = await send(sender, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    server.close()
    assert answer.status_code is None
    assert answer.error


async def test_a_429_hands_on_what_it_asks_for(sender: HttpWebhookSender, receiver: Receiver):
    now = datetime.now(UTC).replace(microsecond=0)
    for value, seconds in {"120": 120.0, format_datetime(now + timedelta(hours=2), usegmt=True): 7200.0}.items():
        receiver.will(Reply(429, {"retry-after": value}))
        answer = await sender.send(event(receiver.url), now=now)
        assert (answer.status_code, answer.retry_after_seconds) == (429, seconds)


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "1e3", "٣", "Wed, 99 Foo 2026 00:00:00 GMT", "9" * 4000])
def test_a_retry_after_that_cannot_be_understood_is_none(value: str):
    assert retry_after_seconds(value, datetime.now(UTC)) is None


def test_a_retry_after_that_has_passed_is_nothing_to_wait_for():
    now = datetime.now(UTC)
    assert retry_after_seconds(format_datetime(now - timedelta(days=1), usegmt=True), now) == 0.0


@given(st.text(max_size=40))
def test_no_retry_after_is_an_error(value: str):
    asked = retry_after_seconds(value, datetime.now(UTC))
    assert asked is None or asked >= 0.0


@pytest.mark.parametrize(
    "url",
    [
        METADATA,
        "http://[::ffff:169.254.169.254]/latest/meta-data",
        "http://[64:ff9b::a9fe:a9fe]/latest/meta-data",
        "http://[2002:a9fe:a9fe::1]/",
        "http://2852039166/latest/meta-data",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://127.1/",
        "http://0/",
        "http://[::1]/",
        "http://[fd00:ec2::254]/latest/meta-data",
    ],
)
async def test_the_metadata_address_is_refused_mapped_decimal_and_octal_too(names: Names, url: str):
    sender = make_sender(SECRET, allow_private=False)
    answer = await send(sender, url)
    assert answer.status_code is None
    assert re.search("not on the public internet|Invalid IPv4 address", answer.error)
    await sender.close()


async def test_rebinding_between_check_and_delivery_is_refused(names: Names, receiver: Receiver):
    """The name was public when it was given, and leads into the own network when it is used."""
    url = f"http://rebinding.example:{receiver.port}/"
    names["rebinding.example"] = ["93.184.215.14"]
    assert await WebhookAddresses().check(url) == url
    names["rebinding.example"] = ["127.0.0.1"]
    sender = make_sender(SECRET, allow_private=False)
    answer = await send(sender, url)
    assert "127.0.0.1" in answer.error
    assert receiver.connections == 0
    await sender.close()


async def test_rebinding_between_look_up_and_connection_is_without_effect(names: Names, receiver: Receiver):
    """The name is looked up once, and what that gave is connected to; the name itself goes into the Host header."""
    names["receiver.example"] = ["127.0.0.1"]
    sender = make_sender(SECRET)
    answer = await send(sender, f"http://receiver.example:{receiver.port}/hook?token=1")
    assert answer == Answer(204)
    assert names.asked == ["receiver.example"]
    assert receiver.requests[0].headers["host"] == f"receiver.example:{receiver.port}"
    assert receiver.requests[0].path == "/hook?token=1"
    await sender.close()


async def test_a_name_that_has_one_private_address_among_others_is_refused(names: Names, receiver: Receiver):
    names["mixed.example"] = ["93.184.215.14", "127.0.0.1"]
    sender = make_sender(SECRET, allow_private=False)
    assert "127.0.0.1" in (await send(sender, f"http://mixed.example:{receiver.port}/")).error
    assert receiver.connections == 0
    await sender.close()


async def test_a_name_that_does_not_resolve_is_a_failure_to_be_tried_again(names: Names, sender: HttpWebhookSender):
    names["later.example"] = socket.gaierror(-2, "Name or service not known")
    answer = await send(sender, "https://later.example/")
    assert answer == Answer(error="The host later.example cannot be resolved at the moment.")


async def test_an_address_that_does_not_answer_is_not_the_last_word(
    names: Names, sender: HttpWebhookSender, receiver: Receiver
):
    names["two.example"] = ["127.0.0.2", "127.0.0.1"]
    assert await send(sender, f"http://two.example:{receiver.port}/") == Answer(204)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch, receiver: Receiver):
    async with receiving() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        sender = make_sender(SECRET)
        assert await send(sender, receiver.url) == Answer(204)
        assert proxy.connections == 0
        await sender.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def secure(authority: Authority) -> AsyncIterator[Receiver]:
    async with receiving(tls=authority.server("receiver.example")) as opened:
        yield opened


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    return authority.certificate


async def test_tls_is_checked_against_the_name_though_the_address_is_connected_to(
    names: Names, trusted: Path, secure: Receiver
):
    names["receiver.example"] = names["other.example"] = ["127.0.0.1"]
    sender = make_sender(SECRET, timeout_seconds=10.0)
    assert await send(sender, f"https://receiver.example:{secure.port}/") == Answer(204)
    mistaken = await send(sender, f"https://other.example:{secure.port}/")
    assert "Hostname mismatch" in mistaken.error
    assert len(secure.requests) == 1
    await sender.close()


async def test_a_certificate_of_nobody_known_is_refused(names: Names, secure: Receiver):
    names["receiver.example"] = ["127.0.0.1"]
    sender = make_sender(SECRET, timeout_seconds=10.0)
    answer = await send(sender, f"https://receiver.example:{secure.port}/")
    assert "CERTIFICATE_VERIFY_FAILED" in answer.error
    assert secure.requests == []
    await sender.close()


async def test_a_refused_address_says_why_when_it_is_given():
    with pytest.raises(InvalidWebhook, match="SYNC_WEBHOOK_ALLOW_PRIVATE"):
        await WebhookAddresses().check(METADATA)


def test_the_body_is_json_without_blanks():
    told = event("http://a.example/")
    assert told.body == json.dumps(told.payload, separators=(",", ":")).encode()


async def test_many_at_once_do_not_wait_for_each_other(receiver: Receiver):
    receiver.choose = lambda request: HANG if "slow" in request.path else OK
    sender = make_sender(SECRET, timeout_seconds=30.0)
    slow = [asyncio.create_task(send(sender, f"{receiver.url}/slow")) for _ in range(50)]
    quick = await asyncio.gather(*(send(sender, receiver.url) for _ in range(50)))
    assert [answer.status_code for answer in quick] == [204] * 50
    assert not any(task.done() for task in slow)
    for task in slow:
        task.cancel()
    await sender.close()
