"""Addresses that webhooks may go to: none that leads into the own network, however it is written."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.jobs.webhook_address import InvalidWebhook, WebhookAddresses
from tests.fakes.names import Names

PUBLIC, PRIVATE_TOO = WebhookAddresses(), WebhookAddresses(allow_private=True)


@pytest.fixture
def names(monkeypatch) -> Names:
    return Names(monkeypatch)


@pytest.mark.parametrize("url", [None, ""])
async def test_no_address_is_none(url):
    assert await PUBLIC.check(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/batch?id=1",
        "http://hooks.example.com:8080/",
        "https://1.1.1.1/x",
        "https://[2606:4700:4700::1111]/x",
        "https://[64:ff9b::101:101]/x",
    ],
)
async def test_public_address_is_accepted_as_given(names, url):
    names["hooks.example.com"] = ["93.184.215.14", "2606:4700:4700::1111"]
    assert await PUBLIC.check(url) == url


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[2002:7f00:1::]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::a9fe:a9fe]",
        "[2001::1]",
        "[fe80::1]",
        "[fc00::1]",
        "[fec0::1]",
        "[ff02::1]",
    ],
)
async def test_address_in_the_own_network_is_refused(names, host):
    with pytest.raises(InvalidWebhook, match="not on the public internet"):
        await PUBLIC.check(f"http://{host}/latest/meta-data")
    assert await PRIVATE_TOO.check(f"http://{host}/latest/meta-data")


async def test_name_is_refused_if_any_of_its_addresses_is_private(names):
    names["mixed.example.com"] = ["93.184.215.14", "10.0.0.1"]
    with pytest.raises(InvalidWebhook, match=r"10\.0\.0\.1"):
        await PUBLIC.check("https://mixed.example.com/")


async def test_name_that_does_not_resolve_now_is_accepted(names):
    names["later.example.com"] = socket.gaierror(-2, "Name or service not known")
    assert await PUBLIC.check("https://later.example.com/")


async def test_where_every_address_is_allowed_none_is_looked_up(names):
    assert await PRIVATE_TOO.check("https://inside.example/")
    assert names.asked == []


async def test_slow_resolver_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("sync_core.jobs.webhook_address._RESOLVE_SECONDS", 0.01)

    async def slow(*args, **kwargs):
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", slow)
    assert await PUBLIC.check("https://slow.example.com/")


@pytest.mark.parametrize("policy", [PUBLIC, PRIVATE_TOO])
@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "javascript:alert(1)",
        "//example.com/x",
        "example.com/x",
        "https://",
        "https:///path",
        "https://user:secret@example.com/",
        "https://user@example.com/",
        "https://example.com:99999/",
        "https://example.com:port/",
        "https://[::1/",
        "https://exa mple.com/",
        "https://example.com/\r\nHost: evil",
        "https://example.com/\t",
        " https://example.com/",
        "https://example.com/" + "x" * 2048,
    ],
)
async def test_bad_syntax_is_refused_under_any_policy(names, policy, url):
    with pytest.raises(InvalidWebhook):
        await policy.check(url)


@settings(max_examples=300)
@given(url=st.one_of(st.text(max_size=40), st.text("htps:/[]@%.:1af\\?#é０。", max_size=30).map("http://".__add__)))
def test_any_text_is_accepted_or_refused(url):
    async def check():
        with contextlib.suppress(InvalidWebhook):
            await PRIVATE_TOO.check(url)

    asyncio.run(check())
