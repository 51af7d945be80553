"""A drop folder in S3: versions are exact, and what was named is what is read."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sync_core.backends.aws import drop_store
from sync_core.backends.aws.open import AwsBackend
from sync_core.backends.aws.trouble import error_code
from sync_core.domain.batch import BatchStatus
from sync_core.domain.errors import TransientError
from sync_core.domain.media import parse_media_ref
from sync_core.jobs.drop import Taken, Took
from sync_core.jobs.ports.drop_store import DropUnreadable
from tests.backends_aws.traffic import OneFault, Storm, hook, refusal
from tests.fakes.clock import FakeClock
from tests.fakes.dropping import PAIRS, DropBox, finish, open_bucket

CSV = "drop/films/pairs.csv"
ERRORS = "drop/films/pairs.errors.json"
READY = "drop/job/_READY"
_EMULATORS_OWN = "IdempotentParameterMismatchException"
"""ministack writes numbers anew in the request that it remembers, and then knows its repetition no more."""


@pytest.fixture
async def box(backend: AwsBackend) -> DropBox:
    return await open_bucket(backend, FakeClock())


@pytest.fixture
async def exact(ministack: AwsBackend) -> DropBox:
    """Give a box on the emulator whose transactions are AWS's."""
    return await open_bucket(ministack, FakeClock())


async def test_relative_paths_are_of_the_bucket_and_are_pinned_later(box: DropBox) -> None:
    await box.put(CSV, "master_file,dub_file\n../m 1.wav#a:1,sub/ü%.wav\n/mnt/data/m.wav,s3://other/d.wav\n")
    assert (await box.take(CSV)).outcome is Took.REFUSED
    errors = await box.errors(ERRORS)
    assert errors is not None
    assert [(each["line"], each["column"]) for each in errors["details"]] == [(3, "dub_file")]
    await box.put(CSV, "master_file,dub_file\n../m 1.wav#a:1,sub/ü%.wav\n")
    taken = await box.take(CSV)
    (item,) = await box.items(str(taken.batch_id))
    bucket = box.files.source
    assert item.request.files == (f"{bucket}/drop/m 1.wav#a:1", f"{bucket}/drop/films/sub/ü%.wav")


async def test_each_version_makes_one_batch_in_whichever_order_events_come(box: DropBox) -> None:
    versions = [await box.put(CSV, PAIRS + "m,d\n" * number) for number in range(4)]
    events = versions * 3
    Random(3).shuffle(events)
    outcomes = [(await box.take(CSV, version)).outcome for version in events]
    assert sorted(outcomes) == [Took.REPEATED] * 8 + [Took.STARTED] * 4
    batches = await box.batches()
    assert sorted(batch.counters.total for batch in batches) == [1, 2, 3, 4]
    assert [await box.starts(batch.batch_id) for batch in batches] == [1] * 4


async def test_the_same_content_put_again_is_a_new_version(box: DropBox) -> None:
    for _ in range(2):
        assert (await box.take(CSV, await box.put(CSV, PAIRS))).outcome is Took.STARTED
    assert len(await box.batches()) == 2


async def test_an_overwritten_object_is_read_as_its_event_named_it(box: DropBox) -> None:
    named = await box.put(CSV, PAIRS + "m,e\n")
    await box.put(CSV, "no header at all")
    taken = await box.take(CSV, named)
    assert taken.outcome is Took.STARTED
    assert len(await box.items(str(taken.batch_id))) == 2


async def test_late_news_of_a_bad_version_says_nothing_of_the_good_one_that_replaced_it(box: DropBox) -> None:
    bad = await box.put(CSV, "bad")
    good = await box.put(CSV, PAIRS)
    assert (await box.take(CSV, good)).outcome is Took.STARTED
    assert (await box.take(CSV, bad)).outcome is Took.REFUSED
    assert await box.errors(ERRORS) is None


async def test_late_news_of_a_good_version_keeps_the_errors_of_the_bad_one_that_replaced_it(box: DropBox) -> None:
    good = await box.put(CSV, PAIRS)
    bad = await box.put(CSV, "bad")
    await box.take(CSV, bad)
    assert (await box.take(CSV, good)).outcome is Took.STARTED
    errors = await box.errors(ERRORS)
    assert errors is not None
    assert errors["version"] == bad


async def test_a_removed_version_is_no_error(box: DropBox) -> None:
    version = await box.put(CSV, PAIRS)
    s3 = await box.backend.clients.s3()  # type: ignore[attr-defined]
    await s3.delete_object(Bucket=box.files.source.removeprefix("s3://"), Key=CSV, VersionId=version)
    assert await box.take(CSV, version) == Taken(Took.GONE)
    assert await box.take(CSV, "etag:0000") == Taken(Took.GONE)


async def test_the_media_of_a_ready_job_are_pinned_as_they_were_when_it_was_ready(exact: DropBox) -> None:
    first = {
        name: await exact.put(f"drop/job/{name}", name) for name in ("a.master.mov", "a.dub.de.wav", "x.dub.de.wav")
    }
    s3 = await exact.backend.clients.s3()  # type: ignore[attr-defined]
    await s3.delete_object(Bucket=exact.files.source.removeprefix("s3://"), Key="drop/job/x.dub.de.wav")
    ready = await exact.put(READY)
    await exact.put("drop/job/a.dub.de.wav", "overwritten after the job was ready")
    await exact.put("drop/job/a.dub.fr.wav", "came after the job was ready")
    taken = await exact.take(READY, ready)
    (item,) = await exact.items(str(taken.batch_id))
    pinned = [parse_media_ref(text).version for text in item.request.files]
    assert pinned == [first["a.master.mov"], first["a.dub.de.wav"]]
    assert await exact.errors("drop/job/_READY.errors.json") is None, "the removed dub is none of it"


def test_a_version_that_was_uploaded_in_parts_for_long_is_the_newest_though_it_began_first() -> None:
    def version(name: str, began: int, *, latest: bool = False) -> dict[str, Any]:
        at = datetime(2025, 8, 28, 14, 6, began, tzinfo=UTC)
        return {"Key": "k", "VersionId": name, "LastModified": at, "IsLatest": latest, "Size": 1}

    def deletion(name: str, at: int, *, latest: bool = False) -> dict[str, Any]:
        return {**version(name, at, latest=latest), "Size": None}

    def newest(*entries: dict[str, Any], at: int) -> list[str]:
        found = drop_store._newest_of_each(entries, datetime(2025, 8, 28, 14, 6, at, tzinfo=UTC))
        return [entry["VersionId"] for entry in found]

    assert newest(version("in parts", 5, latest=True), version("whole", 10), at=20) == ["in parts"]
    assert newest(version("late", 30, latest=True), version("early", 10), at=20) == ["early"]
    assert newest(version("early", 10), deletion("gone", 15, latest=True), at=20) == []
    assert newest(version("again", 18, latest=True), version("early", 10), deletion("gone", 15), at=20) == ["again"]
    assert newest(version("early", 10), deletion("gone later", 25, latest=True), at=20) == ["early"]
    assert newest(version("late", 30, latest=True), at=20) == []


async def test_a_new_ready_makes_a_new_batch_of_the_same_media(exact: DropBox) -> None:
    for name in ("a.master.mov", "a.dub.de.wav"):
        await exact.put(f"drop/job/{name}", name)
    for _ in range(2):
        assert (await exact.take(READY, await exact.put(READY))).outcome is Took.STARTED
    assert len(await exact.batches()) == 2


async def test_500_objects_in_random_order_with_every_event_doubled_make_one_batch(exact: DropBox) -> None:
    names = [f"film {n}.master.mov" for n in range(100)]
    names += [f"film {n}.dub.{language}.wav" for n in range(100) for language in ("de", "fr", "it", "es")]
    versions = await asyncio.gather(*(exact.put(f"drop/job/{name}", name) for name in names))
    events = [(f"drop/job/{name}", version) for name, version in zip(names, versions, strict=True)]
    events = [*events, (READY, await exact.put(READY))] * 2
    Random(5).shuffle(events)
    outcomes = [(await exact.take(*event)).outcome for event in events]
    assert {outcome: outcomes.count(outcome) for outcome in set(outcomes)} == {
        Took.IGNORED: 1000,
        Took.STARTED: 1,
        Took.REPEATED: 1,
    }
    (batch,) = await exact.batches()
    assert (batch.counters.total, await exact.starts(batch.batch_id)) == (400, 1)
    items = await exact.items(batch.batch_id)
    assert all(parse_media_ref(text).is_pinned for item in items for text in item.request.files)


async def test_without_versions_the_etag_pins(backend: AwsBackend) -> None:
    box = await open_bucket(backend, FakeClock())
    s3 = await backend.clients.s3()
    bucket = backend.resources.bucket
    await s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    old = await s3.put_object(Bucket=bucket, Key=CSV, Body=b"bad")
    new = await s3.put_object(Bucket=bucket, Key=CSV, Body=PAIRS.encode())
    named = [f"etag:{put['ETag'].strip(chr(34))}" for put in (old, new)]
    assert (await box.take(CSV, named[0])).outcome is Took.GONE
    assert [(await box.take(CSV, named[1])).outcome for _ in range(2)] == [Took.STARTED, Took.REPEATED]


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("HeadObject", "403"),
        ("GetObject", "AccessDenied"),
        ("GetObject", "KMS.DisabledException"),
        ("GetObject", "InvalidObjectState"),
    ],
)
async def test_access_denied_is_said_beside_the_file_and_heals(box: DropBox, operation: str, code: str) -> None:
    version = await box.put(CSV, PAIRS)
    fault = await OneFault.on(box.backend, operation, answer=refusal(code, status=403), times=1)  # type: ignore[arg-type]
    with pytest.raises(DropUnreadable, match=rf"s3://.*pairs\.csv be read \({code}\)"):
        await box.take(CSV, version)
    assert fault.spoilt == 1
    errors = await box.errors(ERRORS)
    assert errors is not None
    assert errors["error_code"] == "DROP_UNREADABLE"
    assert (await box.take(CSV, version)).outcome is Took.STARTED
    assert await box.errors(ERRORS) is None


@pytest.mark.parametrize("seed", range(4))
async def test_a_storm_of_faults_and_repeated_events_makes_one_batch_of_each_version(exact: DropBox, seed: int) -> None:
    versions = [await exact.put(CSV, PAIRS + "m,d\n" * number) for number in range(3)]
    storm = Storm(seed, share=0.25)
    await storm.over(exact.backend)  # type: ignore[arg-type]
    for version in versions * 2:
        for _ in range(50):
            try:
                await exact.take(CSV, version)
                break
            except (TransientError, ClientError) as error:
                if error_code(error) not in ("", _EMULATORS_OWN):
                    raise
    storm._share = 0.0
    assert storm.spoilt
    batches = await exact.batches()
    assert sorted(batch.counters.total for batch in batches) == [1, 2, 3]
    assert {batch.status for batch in batches} == {BatchStatus.PROCESSING}
    assert [await exact.starts(batch.batch_id) for batch in batches] == [1, 1, 1]


async def test_credentials_that_ran_out_do_not_look_like_an_object_that_has_gone(box: DropBox) -> None:
    version = await box.put(CSV, PAIRS)
    await OneFault.on(box.backend, "HeadObject", answer=refusal("400"), times=1)  # type: ignore[arg-type]
    with pytest.raises(ClientError):
        await box.take(CSV, version)
    assert (await box.take(CSV, version)).outcome is Took.STARTED


async def test_results_are_written_beside_what_is_watched(box: DropBox) -> None:
    taken = await box.take(CSV, await box.put(CSV, PAIRS))
    await finish(box, str(taken.batch_id))
    assert await box.results.write_due() == 1
    assert await box.files.keys("results/") == [f"results/films/pairs/{taken.batch_id}.csv"]


async def test_what_names_nothing_is_not_asked_for(box: DropBox) -> None:
    """An event of own output costs no request."""
    asked: list[Any] = []
    await hook(box.backend, "before-call", lambda **call: asked.append(call["model"].name))  # type: ignore[arg-type]
    for key in (ERRORS, "results/films/pairs/b.csv", "drop/films/", "drop/films/a.master.mov", "drop/films/pairs.json"):
        assert (await box.take(key, "v")).outcome is Took.IGNORED
    assert asked == []
