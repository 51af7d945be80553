"""What becomes of each way in which a server can answer badly."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sync_core.domain.errors import (
    MediaChanged,
    MediaCorrupt,
    MediaError,
    MediaForbidden,
    MediaTooLarge,
    MediaUnsupported,
    StorageUnavailable,
    SyncError,
    Throttled,
)
from sync_core.domain.remote_media import Refusal
from sync_core.media import connection
from sync_core.media.interrupted import Interrupted
from sync_core.media.range_client import Limits, Patience, RangeClient
from sync_core.media.ranges import ByteRange
from tests.fakes.range_server import Fault, RangeServer, Request, at_random, only
from tests.fakes.remote import QUICK, remote_client

SIZE = 3_000_000
MIDDLE = ByteRange(1_000_000, 2_000_000)


@pytest.fixture
def content() -> bytes:
    return bytes(number * 7 % 251 for number in range(SIZE // 10)) * 10


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "file"
    path.write_bytes(content)
    return path


@pytest.fixture
def server() -> Iterator[RangeServer]:
    with RangeServer() as running:
        yield running


@pytest.fixture
def client(server: RangeServer, path: Path) -> RangeClient:
    """Give a client that has begun; the fault that a test sets is that of what follows."""
    client = remote_client(server.serve(path))
    client.fetch(ByteRange(0, 1000))
    return client


def always(fault: Fault) -> Callable[[Request], Fault | None]:
    return lambda _request: fault


def test_a_range_is_fetched_with_one_request(client: RangeClient, server: RangeServer, content: bytes) -> None:
    assert client.fetch(MIDDLE) == content[MIDDLE.start : MIDDLE.stop]
    assert [(one.start, one.stop) for one in server.requests] == [(0, 1000), tuple(MIDDLE)]
    assert (client.requests, client.bytes, client.size_bytes) == (2, 1000 + MIDDLE.size, SIZE)


def test_connections_are_used_again(client: RangeClient, server: RangeServer) -> None:
    before = server.connections
    for start in range(0, 50_000, 1000):
        client.fetch(ByteRange(start, start + 1000))
    assert server.connections == before


def test_what_reaches_beyond_the_end_gives_what_there_is(client: RangeClient, content: bytes) -> None:
    assert client.fetch(ByteRange(SIZE - 10, SIZE + 10)) == content[-10:]


def test_a_cut_connection_resumes_where_it_was_cut(client: RangeClient, server: RangeServer, content: bytes) -> None:
    server.fault = only(Fault.CUT, 1)
    assert client.fetch(MIDDLE) == content[MIDDLE.start : MIDDLE.stop]
    assert [one.start for one in server.requests[1:]] == [MIDDLE.start, MIDDLE.start + MIDDLE.size // 2]
    assert client.bytes == 1000 + MIDDLE.size


@pytest.mark.parametrize(
    "fault", [Fault.ERROR_500, Fault.SLOW_DOWN, Fault.TOO_MANY, Fault.CUT_AT_ONCE, Fault.SHIFTED, Fault.PART]
)
def test_what_passes_is_tried_again(client: RangeClient, server: RangeServer, content: bytes, fault: Fault) -> None:
    server.fault = only(fault, 1, 2)
    assert client.fetch(MIDDLE) == content[MIDDLE.start : MIDDLE.stop]
    assert len(server.requests) == 4


def test_a_500_in_the_middle_of_a_multipart_read(client: RangeClient, server: RangeServer, content: bytes) -> None:
    """Several parts at once, each of which meets errors."""
    server.fault = at_random(0.3, Fault.ERROR_500, Fault.CUT, seed=3)
    parts = [ByteRange(at, at + 100_000) for at in range(0, SIZE, 100_000)]
    with ThreadPoolExecutor(len(parts)) as pool:
        assert b"".join(pool.map(client.fetch, parts)) == content
    assert len(server.requests) > len(parts) + 5


def test_a_server_that_only_fails(client: RangeClient, server: RangeServer) -> None:
    server.fault = always(Fault.ERROR_500)
    with pytest.raises(StorageUnavailable, match=r"s3://studio/file could not be read at byte 1000000: .*500"):
        client.fetch(MIDDLE)
    assert len(server.requests) == 1 + QUICK.tries


def test_a_throttling_storm(client: RangeClient, server: RangeServer) -> None:
    server.fault = always(Fault.SLOW_DOWN)
    with pytest.raises(Throttled, match="slow down") as error:
        client.fetch(MIDDLE)
    assert error.value.retryable
    assert not error.value.blames_item


def test_an_endpoint_that_hangs(server: RangeServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "READ_SECONDS", 0.2)
    client = remote_client(server.serve(path), patience=Patience(tries=2, first_pause_seconds=0.001))
    client.fetch(ByteRange(0, 1000))
    server.fault = always(Fault.HANG)
    with pytest.raises(StorageUnavailable, match="Timeout"):
        client.fetch(MIDDLE)


def test_an_answer_that_stops_in_the_middle(server: RangeServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "READ_SECONDS", 0.2)
    client = remote_client(server.serve(path))
    client.fetch(ByteRange(0, 1000))
    server.fault = only(Fault.SHORT, 1)
    assert client.fetch(MIDDLE) == path.read_bytes()[MIDDLE.start : MIDDLE.stop]
    assert server.requests[2].start > MIDDLE.start


def test_an_answer_that_drips(server: RangeServer, path: Path) -> None:
    client = remote_client(
        server.serve(path), patience=Patience(tries=2, first_pause_seconds=0.001, answer_seconds=0.3)
    )
    client.fetch(ByteRange(0, 1000))
    server.fault = always(Fault.DRIP)
    with pytest.raises(StorageUnavailable, match=r"not complete after 0\.3 s"):
        client.fetch(MIDDLE)


def test_nothing_listens() -> None:
    client = remote_client("http://127.0.0.1:1/file", patience=Patience(tries=2, first_pause_seconds=0.001))
    with pytest.raises(StorageUnavailable, match="could not be read at byte 0"):
        client.fetch(ByteRange(0, 1000))


@pytest.mark.parametrize("fault", [Fault.CHANGED, Fault.SHRUNK])
def test_a_file_that_changes_while_it_is_read(client: RangeClient, server: RangeServer, fault: Fault) -> None:
    server.fault = always(fault)
    with pytest.raises(MediaChanged, match="no longer what it was") as error:
        client.fetch(MIDDLE)
    assert error.value.code == "MEDIA_CHANGED"
    assert not error.value.retryable
    assert len(server.requests) == 2


def test_a_server_that_ignores_if_match_is_found_out(server: RangeServer, path: Path) -> None:
    client = remote_client(server.serve(path, etag='W/"1"'))
    client.fetch(ByteRange(0, 1000))
    assert "if-match" not in server.requests[0].headers
    server.serve(path, etag='W/"2"')
    with pytest.raises(MediaChanged):
        client.fetch(MIDDLE)


def test_a_file_that_is_not_the_pinned_one(server: RangeServer, path: Path) -> None:
    with pytest.raises(MediaChanged):
        remote_client(server.serve(path), etag='"v0"').fetch(ByteRange(0, 1000))


def test_a_range_that_is_no_longer_there(client: RangeClient, server: RangeServer) -> None:
    server.fault = always(Fault.NOT_SATISFIABLE)
    with pytest.raises(MediaChanged):
        client.fetch(MIDDLE)


def test_an_empty_file(server: RangeServer, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(MediaCorrupt, match="is empty"):
        remote_client(server.serve(tmp_path / "empty")).fetch(ByteRange(0, 1000))


def test_a_server_that_ignores_ranges(server: RangeServer, path: Path) -> None:
    server.fault = always(Fault.WHOLE)
    with pytest.raises(MediaUnsupported, match="does not answer byte ranges"):
        remote_client(server.serve(path)).fetch(ByteRange(0, 1000))


def test_a_server_that_sends_it_encoded(server: RangeServer, path: Path) -> None:
    server.fault = always(Fault.ENCODED)
    with pytest.raises(MediaUnsupported, match="encoded"):
        remote_client(server.serve(path)).fetch(ByteRange(0, 1000))


def test_an_expired_address_is_renewed_once_for_all(server: RangeServer, path: Path, content: bytes) -> None:
    asked: list[Refusal | None] = []

    def locate(refusal: Refusal | None) -> str:
        asked.append(refusal)
        return server.url(f"/address{len(asked)}")

    server.serve(path, "/address1")
    client = remote_client(locate)
    client.fetch(ByteRange(0, 1000))
    server.files["/address2"] = server.files.pop("/address1")
    server.refusal = lambda one: (403, b"<Code>AccessDenied</Code>Request has expired") if "1" in one.path else None
    assert client.fetch(MIDDLE) == content[MIDDLE.start : MIDDLE.stop]
    assert asked == [None, Refusal(403, "<Code>AccessDenied</Code>Request has expired")]


def test_many_threads_that_are_refused_at_once_renew_once(server: RangeServer, path: Path, content: bytes) -> None:
    asked: list[Refusal | None] = []

    def locate(refusal: Refusal | None) -> str:
        asked.append(refusal)
        return f"{server.url('/media')}?address={len(asked)}"

    server.serve(path)
    client = remote_client(locate)
    client.fetch(ByteRange(0, 1000))
    server.latency_seconds = 0.2
    server.refusal = lambda one: (403, b"Request has expired") if one.headers[":query"] == "address=1" else None
    parts = [ByteRange(at, at + 1000) for at in range(0, 20_000, 1000)]
    with ThreadPoolExecutor(len(parts)) as pool:
        assert b"".join(pool.map(client.fetch, parts)) == content[:20_000]
    assert len(asked) == 2


def test_what_the_refusal_means_is_what_the_item_gets(server: RangeServer, path: Path) -> None:
    def locate(refusal: Refusal | None) -> str:
        if refusal is not None:
            raise MediaForbidden("allow s3:GetObject")
        return server.url("/media")

    server.serve(path)
    server.fault = always(Fault.FORBIDDEN)
    with pytest.raises(MediaForbidden, match="allow s3:GetObject"):
        remote_client(locate).fetch(ByteRange(0, 1000))


def test_addresses_are_not_renewed_for_ever(server: RangeServer, path: Path) -> None:
    server.serve(path)
    server.fault = always(Fault.FORBIDDEN)
    with pytest.raises(StorageUnavailable, match="5 addresses"):
        remote_client(lambda _refusal: server.url("/media")).fetch(ByteRange(0, 1000))


def test_a_file_beyond_the_size_limit(server: RangeServer, path: Path) -> None:
    client = remote_client(server.serve(path), limits=Limits(bytes=SIZE - 1))
    with pytest.raises(MediaTooLarge, match=f"has {SIZE} bytes, and at most {SIZE - 1}"):
        client.fetch(ByteRange(0, 1000))
    assert server.body_bytes == 1000


def test_a_file_beyond_the_time_limit(server: RangeServer, path: Path) -> None:
    client = remote_client(server.serve(path), limits=Limits(seconds=0.2))
    client.fetch(ByteRange(0, 1000))
    server.fault = always(Fault.DRIP)
    with pytest.raises(MediaTooLarge, match=r"within 0\.2 s"):
        client.fetch(MIDDLE)


@pytest.mark.parametrize("fault", [Fault.DRIP, Fault.ERROR_500])
def test_who_does_not_wait_any_more_stops_it_within_a_second(server: RangeServer, path: Path, fault: Fault) -> None:
    over = threading.Event()
    patience = Patience(first_pause_seconds=60.0, most_pause_seconds=60.0)
    client = remote_client(server.serve(path), patience=patience, is_over=over.is_set)
    client.fetch(ByteRange(0, 1000))
    server.fault = always(fault)
    outcome: list[BaseException] = []

    def fetch() -> None:
        try:
            client.fetch(MIDDLE)
        except (Interrupted, SyncError) as error:
            outcome.append(error)

    thread = threading.Thread(target=fetch)
    thread.start()
    time.sleep(0.3)
    over.set()
    thread.join(1.5)
    assert [type(one) for one in outcome] == [Interrupted]


@pytest.mark.parametrize("fault", list(Fault))
def test_any_fault_at_random_gives_the_content_or_an_error_that_was_meant(
    server: RangeServer, path: Path, content: bytes, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "READ_SECONDS", 0.1)
    address = server.serve(path)

    def locate(refusal: Refusal | None) -> str:
        if refusal is not None:
            raise MediaForbidden(f"{refusal.status}")
        return address

    client = remote_client(locate, patience=Patience(8, 0.001, 0.01, 20.0, answer_seconds=0.1))
    client.fetch(ByteRange(0, 1000))
    server.fault = at_random(0.2, fault, seed=5)
    with contextlib.suppress(MediaError):
        for start in range(0, SIZE, 100_000):
            assert client.fetch(ByteRange(start, start + 100_000)) == content[start : start + 100_000]
