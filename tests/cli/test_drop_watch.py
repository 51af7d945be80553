"""`serve` with a real folder: what is dropped becomes a batch, once, and no file is read before it is whole."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from tests.fakes.processes import started, wait_until

BATCHES = "/api/v1/analysis/batch"
SETTLE_SECONDS = 1.0
PAIRS = "master_file,dub_file\nmaster.wav,late.wav\n"


class Dropping:
    """A running `serve` and its drop folder."""

    def __init__(self, url: str, drop: Path, log: Path) -> None:
        self.url, self.log, self.drop = url, log, drop

    def put(self, name: str, content: str | bytes = "") -> Path:
        path = self.drop / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def batches(self) -> list[dict]:
        return httpx.get(f"{self.url}{BATCHES}").json()["batches"]

    def wait_for_batches(self, count: int) -> list[dict]:
        wait_until(lambda: [b["status"] for b in self.batches() if b["status"] != "uploaded"][count - 1 : count])
        return self.batches()

    def is_quiet(self) -> None:
        """Wait for longer than anything takes that is on its way."""
        time.sleep(SETTLE_SECONDS + 1.0)


Serve = Callable[..., AbstractContextManager[Dropping]]


@pytest.fixture
def serve(data_dir: Path) -> Serve:
    """Give a `serve` on one data folder, to be started any number of times."""

    @contextlib.contextmanager
    def running(*, workers: int = 0, **settings: Path | str) -> Iterator[Dropping]:
        log = data_dir / "serve.log"
        log.unlink(missing_ok=True)
        settings = {"SYNC_DATA_DIR": data_dir / "store", **settings}
        args = ("serve", "--port", "0", "--workers", str(workers))
        with started("handlers.cli.main", *args, cwd=data_dir, log=log, **settings) as process:
            url = wait_until(lambda: re.search(r"(http://127\.0\.0\.1:\d+)/docs", log.read_text()))[1]
            drop = Path(settings.get("SYNC_DROP_DIR", data_dir / "store" / "drop"))
            dropping = Dropping(url, drop, log)
            wait_until(lambda: _answers(url))
            wait_until(drop.is_dir)
            yield dropping
            process.terminate()
            assert process.wait(timeout=20) == 0
            assert "Traceback" not in log.read_text()

    return running


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}{BATCHES}").is_success
    return False


def test_a_dropped_csv_is_analysed_and_its_results_are_written(serve: Serve, recordings: Path) -> None:
    with serve(workers=1) as dropping:
        for name in ("master.wav", "late.wav"):
            shutil.copy(recordings / name, dropping.drop / name)
        dropping.put("films.csv", "master_file,dub_file,parallel_jobs,priority\nmaster.wav,late.wav,3,high\n")
        (batch,) = dropping.wait_for_batches(1)
        assert (batch["parallel_jobs"], batch["priority"]) == (3, "high")
        written = dropping.drop.parent / "results" / "films" / f"{batch['batch_id']}.json"
        wait_until(written.exists, within_seconds=60)
        (result,) = json.loads(written.read_text())["results"]
        assert result["result"]["offset_seconds"] == pytest.approx(-0.5, abs=0.001)
        wait_until(lambda: not list((dropping.drop.parent / "results" / ".pending").iterdir()))
        (row,) = csv.DictReader(written.with_suffix(".csv").open())
        assert float(row["offset_seconds"]) == pytest.approx(-0.5, abs=0.001)
        dropping.is_quiet()
        assert len(dropping.batches()) == 1, "own output must not trigger"


def test_500_objects_in_random_order_with_every_event_doubled_make_one_batch_that_starts_once(serve: Serve) -> None:
    rng = random.Random(5)
    names = [f"film {n}.master.mov" for n in range(100)]
    names += [f"film {n}.dub.{language}.wav" for n in range(100) for language in ("de", "fr", "it", "es")]
    with serve() as dropping:
        arrivals = [*names, *names]
        rng.shuffle(arrivals)
        for name in arrivals:
            dropping.put(f"job/{name}", name)
        for _ in range(2):
            dropping.put("job/_READY")
        for name in rng.sample(names, 50):
            (dropping.drop / "job" / name).touch()
        (batch,) = dropping.wait_for_batches(1)
        assert (batch["status"], batch["items_total"]) == ("processing", 400)
        for name in ("_READY", *rng.sample(names, 50)):
            (dropping.drop / "job" / name).touch()
        dropping.is_quiet()
        assert [each["batch_id"] for each in dropping.batches()] == [batch["batch_id"]]
        assert dropping.log.read_text().count("started what was dropped") == 1
        assert not list(dropping.drop.rglob("*.errors.json"))


def test_a_file_that_is_still_being_written_is_never_read(serve: Serve) -> None:
    rows = [f"master.wav,{n}.wav\n" for n in range(40)]
    with serve() as dropping:
        with (dropping.drop / "open.csv").open("w") as kept_open:
            kept_open.write("master_file,dub_file\n" + rows[0])
            kept_open.flush()
            grown = dropping.put("grown.csv", "master_file,dub_file\n")
            for row in rows:
                with grown.open("a") as file:
                    file.write(row)
                time.sleep(0.1)
            assert dropping.batches() == [], "neither one that is kept open nor one that grows"
            dropping.put("media.csv", "master_file,dub_file\nopen.csv,late.wav\n")
            (batch,) = dropping.wait_for_batches(1)
            dropping.is_quiet()
            assert [each["description"] for each in dropping.batches()] == [batch["description"]] == ["drop/grown.csv"]
            kept_open.write("".join(rows[1:]))
        batches = dropping.wait_for_batches(3)
        assert sorted(batch["items_total"] for batch in batches) == [1, 40, 40]
        assert not list(dropping.drop.glob("*.errors.json"))


def test_what_arrived_while_it_was_down_is_found_and_nothing_is_done_twice(serve: Serve) -> None:
    with serve() as dropping:
        dropping.put("first.csv", PAIRS)
        dropping.wait_for_batches(1)
    dropping.put("second.csv", PAIRS)
    (dropping.drop / "first.csv").touch()
    with serve() as again:
        assert len(again.wait_for_batches(2)) == 2
        again.is_quiet()
        assert len(again.batches()) == 2


def test_killed_at_any_moment_it_makes_one_batch_in_the_end(serve: Serve, data_dir: Path) -> None:
    args = ("serve", "--port", "0", "--workers", "0")
    drop = data_dir / "store" / "drop"
    drop.mkdir(parents=True)
    (drop / "films.csv").write_text("master_file,dub_file\n" + "".join(f"m.wav,{n}.wav\n" for n in range(5000)))
    for seed in range(3):
        log = data_dir / "killed.log"
        log.unlink(missing_ok=True)
        with started("handlers.cli.main", *args, cwd=data_dir, log=log, SYNC_DATA_DIR=data_dir / "store") as process:
            wait_until(lambda log=log: "files dropped into" in log.read_text())
            time.sleep(random.Random(seed).uniform(0.0, 0.8))
            process.kill()
    with serve() as dropping:
        (batch,) = dropping.wait_for_batches(1)
        dropping.is_quiet()
        assert [each["items_total"] for each in dropping.batches()] == [5000]
        assert batch["status"] == "processing"


def test_a_bad_csv_is_told_beside_it_and_mended_by_a_file_that_is_renamed_into_place(
    serve: Serve, data_dir: Path
) -> None:
    with serve() as dropping:
        dropping.put("films.csv", "master_file,dub_file\n/etc/passwd,late.wav\n")
        errors = dropping.drop / "films.errors.json"
        wait_until(errors.exists)
        assert json.loads(errors.read_text())["details"][0]["line"] == 2
        mended = data_dir / "store" / "upload.csv"
        mended.write_text(PAIRS)
        os.utime(mended, (time.time() - 60,) * 2)
        mended.rename(dropping.drop / "films.csv")
        dropping.wait_for_batches(1)
        wait_until(lambda: not errors.exists())


def test_a_folder_of_ones_own_is_watched_and_its_media_may_be_read(serve: Serve, data_dir: Path) -> None:
    settings = {"SYNC_DROP_DIR": data_dir / "inbox", "SYNC_RESULTS_DIR": data_dir / "outbox"}
    with serve(**settings, SYNC_MEDIA_ROOTS='["/mnt/data"]') as dropping:
        dropping.put("a.csv", PAIRS)
        assert dropping.wait_for_batches(1)[0]["items_total"] == 1
        wait_until(lambda: list((data_dir / "outbox" / ".pending").iterdir()))
        assert not (data_dir / "store" / "drop").exists()
