"""Taking what was dropped: one batch for each version, whatever comes how often and in which order."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.backends.embedded import drop_store
from sync_core.domain.batch import BatchStatus, Priority
from sync_core.jobs.csv_rows import UploadLimits
from sync_core.jobs.drop import StillWritten, Taken, Took
from sync_core.jobs.ports.drop_store import DropUnreadable
from tests.fakes.dropping import PAIRS, DropBox, finish, open_box
from tests.fakes.tap import Call, Trouble
from tests.fakes.workshop import Workshop, open_workshop
from tests.faults.interruptions import Crash

ERRORS = "drop/films/pairs.errors.json"
CSV = "drop/films/pairs.csv"
READY = "drop/job/_READY"


@pytest.fixture
def box(shop: Workshop) -> DropBox:
    return open_box(shop.backend, shop.data_dir, shop.clock)


async def job(box: DropBox, *names: str) -> None:
    for name in names:
        await box.put(f"drop/job/{name}", repr(name))
    await box.put(READY)


async def test_a_csv_becomes_a_batch_and_starts(box: DropBox, shop: Workshop) -> None:
    await box.put(CSV, "dub_file;master_file;parallel_jobs;priority\nsub/d.wav;../m.wav;3;high\n/mnt/data/d;m.wav;;\n")
    taken = await box.take(CSV)
    assert taken.outcome is Took.STARTED
    (batch,) = await box.batches()
    assert (batch.batch_id, batch.status) == (taken.batch_id, BatchStatus.PROCESSING)
    assert (batch.parallel_jobs, batch.priority, batch.description) == (3, Priority.HIGH, CSV)
    first, second = await box.items(batch.batch_id)
    folder = str(shop.data_dir / "drop")
    assert (first.request.master_file, first.request.dub_file) == (f"{folder}/m.wav", f"{folder}/films/sub/d.wav")
    assert (second.request.master_file, second.request.dub_file) == (f"{folder}/films/m.wav", "/mnt/data/d")
    assert (await shop.depth()).waiting == 2


async def test_settings_may_lie_in_a_json_file_beside_it(box: DropBox) -> None:
    given_settings = {"parallel_jobs": 5, "priority": "low", "webhook": "https://192.0.43.8/h", "description": "Films"}
    await box.put("drop/films/pairs.json", json.dumps(given_settings))
    await box.put(CSV, PAIRS)
    await box.take(CSV)
    (batch,) = await box.batches()
    assert (batch.parallel_jobs, batch.priority, batch.webhook_url, batch.description) == (
        5, Priority.LOW, "https://192.0.43.8/h", "Films"
    )  # fmt: skip


async def test_duplicate_events_make_one_batch_that_starts_once(box: DropBox) -> None:
    version = await box.put(CSV, PAIRS)
    outcomes = [(await box.take(CSV, version)).outcome for _ in range(4)]
    assert outcomes == [Took.STARTED, *[Took.REPEATED] * 3]
    (batch,) = await box.batches()
    assert await box.starts(batch.batch_id) == 1


async def test_a_new_version_makes_a_new_batch(box: DropBox) -> None:
    first = await box.put(CSV, PAIRS)
    await box.take(CSV, first)
    second = await box.put(CSV, PAIRS + "m.wav,e.wav\n")
    assert (await box.take(CSV, first)).outcome is Took.GONE, "a disk keeps no versions"
    assert (await box.take(CSV, second)).outcome is Took.STARTED
    assert [batch.counters.total for batch in await box.batches()] == [1, 2]


async def test_a_file_dropped_twice_or_touched_makes_no_second_batch(box: DropBox, shop: Workshop) -> None:
    await box.put(CSV, PAIRS)
    await box.take(CSV)
    (shop.data_dir / CSV).touch()
    assert (await box.take(CSV)).outcome is Took.REPEATED
    await box.put(CSV, PAIRS)
    assert (await box.take(CSV)).outcome is Took.REPEATED
    assert len(await box.batches()) == 1


async def test_the_same_rows_with_other_settings_make_another_batch(box: DropBox) -> None:
    await box.put(CSV, PAIRS)
    await box.take(CSV)
    await box.put("drop/films/pairs.json", '{"priority": "high"}')
    await box.put(CSV, PAIRS)
    assert (await box.take(CSV)).outcome is Took.STARTED


async def test_equal_files_in_two_places_are_two_batches(box: DropBox) -> None:
    for key in ("drop/a.csv", "drop/b.csv"):
        await box.put(key, PAIRS)
        assert (await box.take(key)).outcome is Took.STARTED
    assert len(await box.batches()) == 2


async def test_a_bad_csv_stores_nothing_and_says_why_beside_it(box: DropBox) -> None:
    version = await box.put(CSV, "master_file,dub_file,priority\n/etc/m.wav,d.wav,soon\nm.wav,\n")
    assert await box.take(CSV) == Taken(Took.REFUSED)
    assert await box.batches() == []
    errors = await box.errors(ERRORS)
    assert errors is not None
    assert (errors["file"], errors["version"], errors["error_code"]) == (CSV, version, "INVALID_CSV")
    assert [(each["line"], each["column"]) for each in errors["details"]] == [
        (2, "priority"), (2, "master_file"), (3, "dub_file")
    ]  # fmt: skip
    assert all(each["reason"] for each in errors["details"])
    assert await box.files.keys("results/") == [], "nothing waits for the results of what was refused"


async def test_a_good_version_removes_the_errors_of_a_bad_one(box: DropBox) -> None:
    await box.put(CSV, PAIRS)
    await box.take(CSV)
    await box.put(CSV, "no header")
    await box.take(CSV)
    assert await box.errors(ERRORS)
    await box.put(CSV, PAIRS)
    assert (await box.take(CSV)).outcome is Took.REPEATED, "that content has been analysed"
    assert await box.errors(ERRORS) is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "The file is empty"),
        (b"\0\0\0\0", "NUL"),
        (b"x" * 1001, "the limit is 1,000"),
        (b"master_file,dub_file\n" + b"m,d\n" * 11, "the limit is 10"),
        (b"master_file,dub_file,webhook\nm,d,http://127.0.0.1/h\n", "The webhook cannot be used"),
    ],
)
async def test_an_empty_or_unusable_object_says_so(box: DropBox, content: bytes, says: str) -> None:
    box.limits = UploadLimits(file_bytes=1000, rows=10)
    await box.put(CSV, content)
    assert (await box.take(CSV)).outcome is Took.REFUSED
    errors = await box.errors(ERRORS)
    assert errors is not None
    assert says in errors["error"]
    assert await box.batches() == []


async def test_bad_settings_beside_it_refuse_the_file_until_it_is_dropped_again(box: DropBox) -> None:
    await box.put("drop/films/pairs.json", '{"priority": "soon", "x": 1}')
    await box.put(CSV, PAIRS)
    await box.take(CSV)
    errors = await box.errors(ERRORS)
    assert errors is not None
    assert [each["column"] for each in errors["details"]] == ["priority", "x"]
    await box.put("drop/films/pairs.json", '{"priority": "high"}')
    await box.put(CSV, PAIRS)
    assert (await box.take(CSV)).outcome is Took.STARTED
    assert await box.errors(ERRORS) is None


async def test_own_output_must_not_trigger(box: DropBox) -> None:
    await box.put(CSV, "bad")
    await box.take(CSV)
    await box.put("drop/good.csv", PAIRS)
    await box.take("drop/good.csv")
    (batch,) = await box.batches()
    await finish(box, batch.batch_id)
    assert await box.results.write_due() == 1
    written = [key for prefix in ("drop/", "results/") for key in await box.files.keys(prefix)]
    assert ERRORS in written
    assert f"results/good/{batch.batch_id}.csv" in written
    outcomes = {key: (await box.take(key)).outcome for key in written}
    assert {key for key, took in outcomes.items() if took is not Took.IGNORED} == {CSV, "drop/good.csv"}
    assert len(await box.batches()) == 1


async def test_a_name_that_leaves_no_room_for_an_errors_file_starts_all_the_same(box: DropBox) -> None:
    key = f"drop/{'x' * 250}.csv"
    await box.put(key, PAIRS)
    assert (await box.take(key)).outcome is Took.STARTED


@pytest.mark.parametrize("name", ["link.csv", "folder/pairs.csv"])
async def test_a_link_leads_nowhere(box: DropBox, shop: Workshop, name: str) -> None:
    (shop.data_dir / "secret.csv").write_text("not a batch, and not to be quoted")
    (shop.data_dir / "pairs.csv").write_text("not a batch, and not to be quoted")
    (shop.data_dir / "drop" / "link.csv").symlink_to(shop.data_dir / "secret.csv")
    (shop.data_dir / "drop" / "folder").symlink_to(shop.data_dir)
    assert (await box.take(f"drop/{name}")).outcome is Took.GONE
    assert [key for key in await box.files.keys("drop/") if key.endswith(".errors.json")] == []


async def test_names_that_are_no_text_are_said_to_be_none(box: DropBox, shop: Workshop) -> None:
    bad = "f\udcfclm"
    await job(box, f"{bad}.master.wav", f"{bad}.dub.de.wav", "a.master.wav", "a.dub.de.wav")
    taken = await box.take(READY)
    assert len(await box.items(str(taken.batch_id))) == 1
    errors = await box.errors("drop/job/_READY.errors.json")
    assert errors is not None
    assert [each["file"] for each in errors["details"]] == [f"{bad}.dub.de.wav", f"{bad}.master.wav"]
    await box.put(f"drop/{bad}/a.csv", PAIRS)
    assert (await box.take(f"drop/{bad}/a.csv")).outcome is Took.REFUSED
    errors = await box.errors(f"drop/{bad}/a.errors.json")
    assert errors is not None
    assert "rename it" in errors["error"]


async def test_what_has_gone_before_it_is_taken_is_no_error(box: DropBox) -> None:
    assert await box.take("drop/never.csv") == Taken(Took.GONE)
    assert await box.take("drop/never/_READY") == Taken(Took.GONE)


async def test_access_denied_is_said_beside_it_and_tried_again(box: DropBox) -> None:
    await box.put(CSV, PAIRS)
    denied = DropUnreadable("S3 denies access.")
    spoilt = box.spoilt_by(Trouble("files.read", denied))
    with pytest.raises(DropUnreadable):
        await spoilt.take(CSV)
    errors = await box.errors(ERRORS)
    assert errors is not None
    assert (errors["error"], errors["error_code"]) == ("S3 denies access.", "DROP_UNREADABLE")
    assert (await spoilt.take(CSV)).outcome is Took.STARTED
    assert await box.errors(ERRORS) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who writes")
async def test_a_csv_waits_while_media_that_it_names_are_being_written(box: DropBox, shop: Workshop) -> None:
    media = shop.data_dir / "drop" / "films" / "d.wav"
    await box.put("drop/films/d.wav", "half")
    await box.put(CSV, "master_file,dub_file\nm.wav,d.wav#a:0\n/mnt/data/m.wav,d.wav\n")
    writer = media.open("ab")
    with writer, pytest.raises(StillWritten, match=r"d\.wav"):
        await box.take(CSV)
    assert await box.batches() == []
    assert await box.files.keys("results/") == []
    assert (await box.take(CSV)).outcome is Took.STARTED


async def test_a_ready_job_pairs_several_masters_with_their_dubs(box: DropBox, shop: Workshop) -> None:
    await box.put("drop/job/_READY.json", '{"priority": "high"}')
    await job(box, "a.master.mov", "a.dub.de.wav", "a.dub.fr.wav", "b.v2.master.wav", "b.v2.dub.de.mka")
    assert (await box.take(READY)).outcome is Took.STARTED
    (batch,) = await box.batches()
    folder = shop.data_dir / "drop" / "job"
    found = [
        (item.request.master_file, item.request.dub_file, item.request.tags) for item in await box.items(batch.batch_id)
    ]
    assert found == [
        (str(folder / "a.master.mov"), str(folder / "a.dub.de.wav"), ("de",)),
        (str(folder / "a.master.mov"), str(folder / "a.dub.fr.wav"), ("fr",)),
        (str(folder / "b.v2.master.wav"), str(folder / "b.v2.dub.de.mka"), ("de",)),
    ]
    assert batch.priority is Priority.HIGH
    assert await box.errors("drop/job/_READY.errors.json") is None


async def test_masters_without_dubs_and_dubs_without_a_master_are_said(box: DropBox) -> None:
    await job(box, "a.master.mov", "a.dub.de.wav", "b.master.mov", "c.dub.de.wav", "d.wav")
    taken = await box.take(READY)
    assert taken.outcome is Took.STARTED
    errors = await box.errors("drop/job/_READY.errors.json")
    assert errors is not None
    assert (errors["batch_id"], errors["error_code"]) == (taken.batch_id, "UNPAIRED_FILES")
    assert [each["file"] for each in errors["details"]] == ["b.master.mov", "c.dub.de.wav", "d.wav"]
    assert len(await box.items(str(taken.batch_id))) == 1
    await box.put(READY)
    assert (await box.take(READY)).outcome is Took.REPEATED, "own output must not make it another job"
    await box.put("drop/job/b.dub.de.wav", "the one that was missing")
    await box.put(READY)
    assert (await box.take(READY)).outcome is Took.STARTED


async def test_a_job_without_a_pair_stores_nothing(box: DropBox) -> None:
    await job(box, "b.master.mov", "c.dub.de.wav")
    assert (await box.take(READY)).outcome is Took.REFUSED
    errors = await box.errors("drop/job/_READY.errors.json")
    assert errors is not None
    assert [each["file"] for each in errors["details"]] == ["b.master.mov", "c.dub.de.wav"]
    assert await box.batches() == []


async def test_a_job_is_done_again_when_its_media_have_changed_and_it_is_ready_again(
    box: DropBox, shop: Workshop
) -> None:
    names = ("a.master.mov", "a.dub.de.wav")
    await job(box, *names)
    await box.take(READY)
    await job(box, *names)
    assert (await box.take(READY)).outcome is Took.REPEATED, "all of it was dropped twice"
    await box.put("drop/job/a.dub.de.wav", "another dub")
    assert (await box.take(READY)).outcome is Took.REPEATED, "nobody has said that the job is ready"
    (shop.data_dir / READY).touch()
    assert (await box.take(READY)).outcome is Took.STARTED
    assert len(await box.batches()) == 2


async def test_large_media_are_told_apart_by_their_times_of_change(
    box: DropBox, shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drop_store, "_SMALL_BYTES", 10)
    await job(box, "a.master.mov", "a.dub.de.wav")
    assert (await box.take(READY)).outcome is Took.STARTED
    (shop.data_dir / READY).touch()
    assert (await box.take(READY)).outcome is Took.REPEATED
    await box.put("drop/job/a.dub.de.wav", repr("a.dub.de.wav"))
    (shop.data_dir / READY).touch()
    assert (await box.take(READY)).outcome is Took.STARTED


async def test_a_batch_that_was_cancelled_before_its_start_stays_cancelled(box: DropBox, shop: Workshop) -> None:
    await box.put(CSV, PAIRS)
    with pytest.raises(Crash):
        await box.spoilt_by(Trouble("batch_store.start", Crash())).take(CSV)
    (batch,) = await box.batches()
    await shop.cancel(batch.batch_id)
    assert (await box.take(CSV)).outcome is Took.REPEATED
    assert await box.starts(batch.batch_id) == 0


@settings(max_examples=25)
@given(st.permutations([f"drop/{name}.csv" for name in "abc"] * 2 + [READY] * 3))
def test_events_in_any_order_and_number_make_one_batch_of_each_file(events: list[str]) -> None:
    async def live(data_dir: Path) -> None:
        async with open_workshop(data_dir) as shop:
            box = open_box(shop.backend, shop.data_dir, shop.clock)
            for name in "abc":
                await box.put(f"drop/{name}.csv", PAIRS)
            await job(box, "a.master.mov", "a.dub.de.wav")
            outcomes = [(await box.take(key)).outcome for key in events]
            assert sorted(outcomes) == [Took.REPEATED] * 5 + [Took.STARTED] * 4
            batches = await box.batches()
            assert {batch.description for batch in batches} == set(events)
            assert [await box.starts(batch.batch_id) for batch in batches] == [1] * 4

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live(Path(folder)))


class Mortal:
    """Dies at the n-th call, before or after its effect."""

    def __init__(self, number: int, *, after_effect: bool) -> None:
        self.left, self.after_effect, self.died = number, after_effect, False

    async def __call__(self, _name: str, call: Call) -> object:
        self.left -= 1
        if self.left:
            return await call()
        self.died = True
        if self.after_effect:
            await call()
        raise Crash


Drop = Callable[[DropBox], Awaitable[str]]


async def drop_csv(box: DropBox) -> str:
    await box.put(CSV, PAIRS)
    return CSV


async def drop_job(box: DropBox) -> str:
    await job(box, "a.master.mov", "a.dub.de.wav", "b.master.mov")
    return READY


@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("drop", [drop_csv, drop_job])
async def test_a_crash_between_any_two_side_effects_heals_with_the_next_event(
    drop: Drop, after_effect: bool, data_dir: Path
) -> None:
    deaths = 0
    for number in count(1):
        async with open_workshop(data_dir / f"{number}") as shop:
            box = open_box(shop.backend, shop.data_dir, shop.clock)
            key = await drop(box)
            mortal = Mortal(number, after_effect=after_effect)
            try:
                await box.spoilt_by(mortal).take(key)
            except Crash:
                deaths += 1
            taken = await box.take(key)
            assert taken.outcome in (Took.STARTED, Took.REPEATED)
            (batch,) = await box.batches()
            assert (batch.status, await box.starts(batch.batch_id)) == (BatchStatus.PROCESSING, 1)
            assert len(await box.files.keys("results/.pending/")) == 1
            await finish(box, batch.batch_id)
            assert await box.results.write_due() == 1
        if not mortal.died:
            break
    assert deaths > 10, "the taps see each call"


async def test_results_land_under_results_once_the_batch_has_ended(box: DropBox) -> None:
    await box.put(CSV, PAIRS)
    taken = await box.take(CSV)
    assert await box.results.write_due() == 0
    await finish(box, str(taken.batch_id))
    assert await box.results.write_due() == 1
    assert await box.results.write_due() == 0
    assert await box.files.keys("results/") == [f"results/films/pairs/{taken.batch_id}.csv"]
    content = await box.read(f"results/films/pairs/{taken.batch_id}.csv")
    assert content is not None
    assert b"item_001" in content


async def test_a_cancelled_batch_has_results_once_nothing_of_it_runs(box: DropBox, shop: Workshop) -> None:
    await box.put(CSV, "master_file,dub_file,parallel_jobs\nm.wav,d.wav,1\nm.wav,e.wav,\n")
    taken = await box.take(CSV)
    begun = await begin(shop, str(taken.batch_id), 0)
    await shop.cancel(str(taken.batch_id))
    assert await box.results.write_due() == 0, "an item is still at work"
    await shop.backend.batch_store.release(begun, now=shop.clock.now(), count_attempt=False)
    await shop.cancel(str(taken.batch_id))
    assert await box.results.write_due() == 1


async def begin(shop: Workshop, batch_id: str, index: int):
    begun = await shop.backend.batch_store.begin_attempt(
        batch_id, index, worker_id="w", now=shop.clock.now(), lease_seconds=60
    )
    return begun.lease  # type: ignore[union-attr]


@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
async def test_results_survive_a_crash_at_any_point(after_effect: bool, data_dir: Path) -> None:
    for number in count(1):
        async with open_workshop(data_dir / f"{number}") as shop:
            box = open_box(shop.backend, shop.data_dir, shop.clock)
            await box.put(CSV, PAIRS)
            taken = await box.take(CSV)
            await finish(box, str(taken.batch_id))
            mortal = Mortal(number, after_effect=after_effect)
            try:
                await box.spoilt_by(mortal).results.write_due()
            except Crash:
                assert len(await box.files.keys("results/.pending/")) in (0, 1)
            await box.results.write_due()
            assert await box.files.keys("results/") == [f"results/films/pairs/{taken.batch_id}.csv"]
        if not mortal.died:
            break
    assert number > 5


async def test_a_note_of_a_batch_that_was_never_stored_is_dropped_after_a_week(box: DropBox, shop: Workshop) -> None:
    await box.put(CSV, PAIRS)
    with pytest.raises(Crash):
        await box.spoilt_by(Trouble("batch_store.create", Crash())).take(CSV)
    shop.clock.advance(6 * 86_400)
    await box.results.write_due()
    assert len(await box.files.keys("results/")) == 1
    shop.clock.advance(2 * 86_400)
    await box.results.write_due()
    assert await box.files.keys("results/") == []


async def test_trouble_with_one_batch_keeps_no_other_from_its_results(box: DropBox) -> None:
    for name in ("a", "b"):
        await box.put(f"drop/{name}.csv", PAIRS)
        await finish(box, str((await box.take(f"drop/{name}.csv")).batch_id))
    spoilt = box.spoilt_by(Trouble("files.write", DropUnreadable("The folder may not be written.")))
    assert await spoilt.results.write_due() == 1
    assert await box.results.write_due() == 1
