"""Media at https addresses: only the public internet is connected to, and only as it was resolved."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync_core.domain.errors import (
    MediaForbidden,
    MediaNotFound,
    MediaUnreachable,
    MediaUnsupported,
    PathNotAllowed,
)
from sync_core.domain.media import InvalidMediaReference, MediaPolicy, parse_media_ref
from sync_core.media.https import HttpsOrigin
from sync_core.media.locate import nowhere
from sync_core.media.open_remote import open_remote
from sync_core.media.range_client import Patience, RangeClient
from sync_core.media.ranges import ByteRange
from tests.fakes.authority import Authority
from tests.fakes.names import Names
from tests.fakes.range_server import Fault, RangeServer

HOST = "media.example.com"
IMPATIENT = Patience(tries=2, first_pause_seconds=0.001)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def trusted(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.certificate))


@pytest.fixture
def server(tmp_path: Path, authority: Authority) -> Iterator[RangeServer]:
    """Serve a file at /media, as the host that the tests speak of."""
    (tmp_path / "file").write_bytes(b"0123456789" * 100)
    with RangeServer(tls=authority.server(HOST)) as running:
        running.serve(tmp_path / "file")
        yield running


def url(server: RangeServer, host: str = HOST, path: str = "/media") -> str:
    return f"https://{host}:{server.port}{path}"


def client(address: str, trusted: ssl.SSLContext, *resolved: str) -> RangeClient:
    """Make a client that takes the loopback address for a public one."""
    origin = HttpsOrigin(
        address, trusted, resolve=lambda _host, _port: list(resolved or ["127.0.0.1"]), is_allowed=lambda _: True
    )
    return RangeClient(origin, address, patience=IMPATIENT)


def test_the_certificate_is_checked_against_the_name(server: RangeServer, trusted: ssl.SSLContext) -> None:
    assert client(url(server), trusted).fetch(ByteRange(0, 10)) == b"0123456789"
    assert server.requests[0].headers["host"] == f"{HOST}:{server.port}"
    with pytest.raises(MediaUnreachable, match="certificate"):
        client(url(server, "other.example.com"), trusted).fetch(ByteRange(0, 10))


def test_an_unknown_authority_is_not_trusted(server: RangeServer) -> None:
    with pytest.raises(MediaUnreachable, match="certificate"):
        client(url(server), ssl.create_default_context()).fetch(ByteRange(0, 10))


def test_the_name_is_resolved_once(server: RangeServer, trusted: ssl.SSLContext, names: Names) -> None:
    names[HOST] = ["127.0.0.1"]
    origin = HttpsOrigin(url(server), trusted, is_allowed=lambda _: True)
    reading = RangeClient(origin, "file", patience=IMPATIENT)
    reading.fetch(ByteRange(0, 10))
    names[HOST] = ["10.0.0.1"]
    for _ in range(3):
        reading.fetch(ByteRange(0, 10))
    assert names.asked.count(HOST) == 1


def test_an_address_that_does_not_answer_gives_way_to_the_next(server: RangeServer, trusted: ssl.SSLContext) -> None:
    assert client(url(server), trusted, "127.0.0.2", "127.0.0.1").fetch(ByteRange(0, 10)) == b"0123456789"


REFUSED = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "10.1.2.3", "172.16.0.1", "192.168.1.1",
    "169.254.169.254", "0xa9fea9fe", "2852039166", "100.64.0.1", "224.0.0.1", "255.255.255.255", "[::1]", "[::]",
    "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]", "[fe80::1]", "[fc00::1]",
    "[ff02::1]",
]  # fmt: skip


@pytest.mark.parametrize("host", REFUSED)
def test_only_the_public_internet_is_connected_to(names: Names, host: str, trusted: ssl.SSLContext) -> None:
    with pytest.raises(PathNotAllowed, match="not on the public internet"):
        HttpsOrigin(f"https://{host}/latest/meta-data", trusted)


def test_a_name_is_refused_if_any_of_its_addresses_is_private(names: Names, trusted: ssl.SSLContext) -> None:
    names["mixed.example.com"] = ["93.184.215.14", "10.0.0.1"]
    with pytest.raises(PathNotAllowed, match=r"10\.0\.0\.1"):
        HttpsOrigin("https://mixed.example.com/a.wav", trusted)


def test_a_name_without_an_address_may_have_one_later(names: Names, trusted: ssl.SSLContext) -> None:
    names["later.example.com"] = OSError("Name or service not known")
    with pytest.raises(MediaUnreachable, match=r"later\.example\.com has no network address"):
        HttpsOrigin("https://later.example.com/a.wav", trusted)


def test_redirects_are_not_followed(server: RangeServer, trusted: ssl.SSLContext) -> None:
    server.fault = lambda _request: Fault.REDIRECT
    with pytest.raises(MediaUnsupported, match="leads on to another address"):
        client(url(server), trusted).fetch(ByteRange(0, 10))
    assert len(server.requests) == 1


@pytest.mark.parametrize(("fault", "error"), [(Fault.GONE, MediaNotFound), (Fault.FORBIDDEN, MediaForbidden)])
def test_a_refusal_is_told(server: RangeServer, trusted: ssl.SSLContext, fault: Fault, error: type[Exception]) -> None:
    server.fault = lambda _request: fault
    with pytest.raises(error, match=HOST):
        client(url(server), trusted).fetch(ByteRange(0, 10))


@pytest.mark.parametrize("fault", [Fault.ERROR_500, Fault.TOO_MANY, Fault.CUT_AT_ONCE])
def test_a_server_that_gives_no_usable_answer_costs_the_item_an_attempt(
    server: RangeServer, trusted: ssl.SSLContext, fault: Fault
) -> None:
    server.fault = lambda _request: fault
    with pytest.raises(MediaUnreachable) as error:
        client(url(server), trusted).fetch(ByteRange(0, 10))
    assert error.value.retryable
    assert error.value.blames_item


@pytest.mark.parametrize(
    "address",
    [
        "https://",
        "https:///path",
        "https://host:99999/",
        "https://host:port/",
        "https://[::1/",
        "https://ho st/a.wav",
        "https://user:secret@example.com/a.wav",
        "https://example.com/ümlaut.wav",
        "http://example.com/a.wav",
    ],
)
def test_what_is_no_usable_address(names: Names, address: str, trusted: ssl.SSLContext) -> None:
    with pytest.raises(InvalidMediaReference) as error:
        HttpsOrigin(address, trusted)
    assert "secret" not in str(error.value)


def test_what_stands_behind_the_path_is_kept(server: RangeServer, trusted: ssl.SSLContext) -> None:
    assert client(url(server, path="/media?token=%2Fx"), trusted).fetch(ByteRange(0, 10)) == b"0123456789"


def test_https_is_off_unless_it_is_switched_on(names: Names) -> None:
    ref = parse_media_ref("https://media.example.com/a.wav")
    for policy in (MediaPolicy(roots=("/",)), MediaPolicy(unrestricted=True)):
        with pytest.raises(PathNotAllowed, match="SYNC_HTTPS_MEDIA=true switches it on"):
            open_remote(ref, policy, nowhere, is_over=bool)
    assert names.asked == []


def test_where_it_is_on_private_addresses_are_refused_all_the_same() -> None:
    policy = MediaPolicy(https_enabled=True, unrestricted=True)
    with pytest.raises(PathNotAllowed, match="not on the public internet"):
        open_remote(parse_media_ref("https://127.0.0.1/a.wav"), policy, nowhere, is_over=bool)


def test_without_what_reads_s3_it_is_said_what_to_install() -> None:
    policy = MediaPolicy(allowed_buckets=("studio",))
    with pytest.raises(MediaUnsupported, match="sync-analyzer\\[aws\\]"):
        open_remote(parse_media_ref("s3://studio/a.wav"), policy, nowhere, is_over=bool)
