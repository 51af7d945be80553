"""Pairs in S3 through child processes, which borrow addresses from their parent and fetch by themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from sync_core.domain.errors import (
    MediaChanged,
    MediaForbidden,
    MediaUnsupported,
    PathNotAllowed,
    SyncError,
    Throttled,
    TransientError,
)
from sync_core.domain.media import MediaPolicy, MediaRef, bucket_and_key
from sync_core.domain.remote_media import Refusal
from sync_core.domain.result import Progress
from sync_core.pipeline.analyzer import ProcessAnalyzer
from tests.fakes.processes import wait_until
from tests.fakes.range_server import Fault, RangeServer, Request
from tests.pipeline.pairs import PROGRAMME, ignore, late, request, write_wav

POLICY = MediaPolicy(allowed_buckets=("studio",))
MASTER, DUB = "s3://studio/master.wav", "s3://studio/dub.wav"


@dataclass
class Lending:
    """Lends addresses of a range server; a refused one is replaced by another of the same file."""

    server: RangeServer
    error: Exception | None = None
    asked: list[tuple[str, Refusal | None]] = field(default_factory=list)

    async def pin(self, ref: MediaRef) -> MediaRef:
        return ref

    async def address(self, ref: MediaRef, refusal: Refusal | None = None) -> str:
        self.asked.append((ref.location, refusal))
        if self.error:
            raise self.error
        return f"{self.server.url('/' + bucket_and_key(ref.location)[1])}?address={len(self.asked)}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RangeServer]:
    with RangeServer() as running:
        running.serve(Path(write_wav(tmp_path / "master.wav", PROGRAMME)), "/master.wav")
        running.serve(Path(write_wav(tmp_path / "dub.wav", late(1.0))), "/dub.wav")
        yield running


@pytest.fixture
def lending(server: RangeServer) -> Lending:
    return Lending(server)


Make = Callable[..., ProcessAnalyzer]


@pytest_asyncio.fixture
async def make(lending: Lending, tmp_path: Path) -> AsyncIterator[Make]:
    made: list[ProcessAnalyzer] = []

    def make_one(**settings: object) -> ProcessAnalyzer:
        defaults = {"policy": POLICY, "slots": 1, "spool_folder": tmp_path / "spool", "media": lending}
        made.append(ProcessAnalyzer(**{**defaults, **settings}))
        return made[-1]

    yield make_one
    for analyzer in made:
        await analyzer.close()


async def test_a_pair_in_s3(make: Make, lending: Lending, server: RangeServer) -> None:
    result = await make().analyze(request(MASTER, DUB), ignore)
    assert result.offset_seconds == pytest.approx(-1.0, abs=1e-3)
    spent = [result.media[name].fetched for name in ("master", "dub")]
    assert sum(one.requests for one in spent) == len(server.requests)
    assert sum(one.bytes for one in spent) == server.body_bytes
    assert sorted(lending.asked) == [(DUB, None), (MASTER, None)]


async def test_an_object_that_is_compared_with_itself_is_fetched_once(
    make: Make, server: RangeServer, tmp_path: Path
) -> None:
    result = await make().analyze(request(MASTER, MASTER), ignore)
    assert result.offset_seconds == 0.0
    assert server.body_bytes < 1.5 * (tmp_path / "master.wav").stat().st_size


async def test_an_address_that_expires_while_a_file_is_read(make: Make, lending: Lending, server: RangeServer) -> None:
    def expire(one: Request) -> tuple[int, bytes] | None:
        is_old = one.number >= 2 and one.headers[":query"] in ("address=1", "address=2")
        return (403, b"<Code>AccessDenied</Code><Message>Request has expired</Message>") if is_old else None

    server.refusal = expire
    result = await make().analyze(request(MASTER, DUB), ignore)
    assert result.offset_seconds == pytest.approx(-1.0, abs=1e-3)
    renewed = [refusal for _, refusal in lending.asked if refusal]
    assert renewed
    assert all(refusal.status == 403 and "expired" in refusal.body for refusal in renewed)


@pytest.mark.parametrize("error", [MediaForbidden("allow it"), Throttled("slow down")], ids=["permanent", "transient"])
async def test_why_there_is_no_address_is_what_the_item_gets(make: Make, lending: Lending, error: SyncError) -> None:
    lending.error = error
    with pytest.raises(type(error), match=error.message):
        await make().analyze(request(MASTER, DUB), ignore)


async def test_a_bug_in_the_store_does_not_leave_the_child_waiting(
    make: Make, lending: Lending, caplog: pytest.LogCaptureFixture
) -> None:
    lending.error = ZeroDivisionError("a bug")
    with pytest.raises(TransientError, match="the worker's log has the reason"):
        await make().analyze(request(MASTER, DUB), ignore)
    assert "ZeroDivisionError" in caplog.text


async def test_a_bucket_that_is_not_allowed_is_not_asked_for(make: Make, lending: Lending) -> None:
    with pytest.raises(PathNotAllowed, match="SYNC_ALLOWED_BUCKETS"):
        await make().analyze(request(MASTER, "s3://other/dub.wav"), ignore)
    assert lending.asked == []


async def test_without_a_store_of_objects_it_is_said_what_to_install(make: Make) -> None:
    with pytest.raises(MediaUnsupported, match="sync-analyzer"):
        await make(media=None).analyze(request(MASTER, DUB), ignore)


async def test_an_object_that_was_pinned_and_overwritten(make: Make) -> None:
    with pytest.raises(MediaChanged) as error:
        await make().analyze(request(MASTER, f"{DUB}#e:v0"), ignore)
    assert error.value.code == "MEDIA_CHANGED"


async def test_progress_is_told_while_a_download_drips(make: Make, server: RangeServer) -> None:
    server.fault = lambda one: Fault.DRIP if one.number > 2 else None
    told: list[float] = []

    def tell(_progress: Progress) -> None:
        told.append(time.monotonic())

    analyzer = make()
    await analyzer.warm_up()
    task = asyncio.create_task(analyzer.analyze(request(MASTER, DUB), tell))
    await asyncio.sleep(3.0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(told) >= 3


async def test_cancelling_ends_a_download(make: Make, server: RangeServer) -> None:
    server.fault = lambda one: Fault.HANG if one.number > 2 else None
    analyzer = make()
    await analyzer.warm_up()
    (pid,) = analyzer.child_pids
    task = asyncio.create_task(analyzer.analyze(request(MASTER, DUB), ignore))
    await asyncio.to_thread(wait_until, lambda: len(server.requests) > 3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.to_thread(wait_until, lambda: not psutil.pid_exists(pid))


async def test_a_pair_ends_when_one_file_fails_while_the_other_hangs(make: Make, server: RangeServer) -> None:
    def fault(one: Request) -> Fault | None:
        return Fault.WHOLE if one.path == "/dub.wav" else Fault.HANG

    server.fault = fault
    with pytest.raises(MediaUnsupported, match="does not answer byte ranges"):
        await asyncio.wait_for(make().analyze(request(MASTER, DUB), ignore), 60.0)
