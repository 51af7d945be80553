"""Reports as files: what a killed process or a bad disk leaves behind."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sync_core.backends.embedded.report_store import EmbeddedReportStore
from sync_core.domain.errors import NotFound, StorageUnavailable

ROOT = Path(__file__).parents[2]
PUT_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from sync_core.backends.embedded.report_store import EmbeddedReportStore

async def main():
    reports = EmbeddedReportStore(Path(sys.argv[1]))
    for number in range(100_000):
        await reports.put(f"batch_a/item_001-{number}.json", b"whole" * 40_000)
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.fixture
async def reports(data_dir: Path) -> AsyncIterator[EmbeddedReportStore]:
    store = EmbeddedReportStore(data_dir / "reports")
    yield store
    await store.close()


def files(data_dir: Path) -> list[str]:
    return sorted(path.name for path in (data_dir / "reports").rglob("*") if path.is_file())


async def test_a_killed_process_leaves_whole_reports_and_what_discarding_takes_along(
    data_dir: Path, reports: EmbeddedReportStore
) -> None:
    put = await asyncio.to_thread(_put_until_killed, data_dir / "reports")
    for number in put:
        assert await reports.get(f"batch_a/item_001-{number}.json") == b"whole" * 40_000
    (data_dir / "reports" / "batch_a" / "item_001-7.json.0123456789abcdef.unfinished").write_bytes(b"ha")
    await reports.discard("batch_a/item_001-", keep=f"batch_a/item_001-{put[0]}.json")
    assert files(data_dir) == [f"item_001-{put[0]}.json"]


def _put_until_killed(folder: Path) -> list[int]:
    command = [sys.executable, "-c", PUT_FOR_EVER, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(10)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    return [int(line) for line in lines if line.endswith(b"\n")]


async def test_what_is_half_written_has_no_key(data_dir: Path, reports: EmbeddedReportStore) -> None:
    await reports.put("batch_a/item_001-1.json", b"whole")
    (data_dir / "reports" / "batch_a" / "x.json.00.unfinished").write_bytes(b"ha")
    with pytest.raises(NotFound):
        await reports.get("batch_a/x.json.00.unfinished")


async def test_a_disk_that_refuses_is_trouble_of_the_storage(data_dir: Path, reports: EmbeddedReportStore) -> None:
    (data_dir / "reports").write_text("a file where the folder should be")
    with pytest.raises(StorageUnavailable, match="folder of reports"):
        await reports.put("batch_a/item_001-1.json", b"whole")


async def test_a_folder_that_somebody_removed_is_made_again(data_dir: Path, reports: EmbeddedReportStore) -> None:
    await reports.put("batch_a/item_001-1.json", b"first")
    await asyncio.to_thread(shutil.rmtree, data_dir / "reports")
    with pytest.raises(StorageUnavailable):
        await reports.put("batch_a/item_001-2.json", b"second")
    await reports.put("batch_a/item_001-2.json", b"second")
    assert files(data_dir) == ["item_001-2.json"]


async def test_a_put_that_failed_leaves_no_file(data_dir: Path, reports: EmbeddedReportStore) -> None:
    (data_dir / "reports" / "batch_a" / "item_001-1.json").mkdir(parents=True)
    with pytest.raises(StorageUnavailable):
        await reports.put("batch_a/item_001-1.json", b"first")
    assert files(data_dir) == []
