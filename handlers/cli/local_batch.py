"""Run a batch on this machine: the real use cases on an embedded back end that lives as long as the command."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import Progress as Bars
from rich.progress import TaskID

from handlers.backends import open_media
from handlers.cli.client import Document
from handlers.cli.display import progress_bars
from handlers.cli.files import write_whole
from handlers.settings import MediaSettings, WorkerSettings, read_settings
from handlers.worker import build_analyzer, build_worker
from sync_core.backends.embedded.open import open_backend
from sync_core.domain.batch import Batch, StartOptions
from sync_core.domain.result import Progress
from sync_core.jobs.csv_rows import UploadLimits
from sync_core.jobs.ports.backend import Backend
from sync_core.jobs.ports.batch_store import Begun, item_stream
from sync_core.jobs.ports.clock import SystemClock
from sync_core.jobs.start import StartBatch
from sync_core.jobs.submit import BatchOptions, SubmitBatch
from sync_core.reports.results_csv import stream_results_csv
from sync_core.reports.results_document import stream_results_document

_POLL_SECONDS = 0.1
_UNLIMITED = UploadLimits(file_bytes=1_000_000_000, rows=10_000_000)


def run_locally(content: bytes, *, jobs: int, output: Path, console: Console) -> Document:
    """Analyse every pair of a CSV file, write the results to `output`, and return the results document.

    Raises
    ------
    InvalidBatch
        If the file cannot be used; nothing is run then.
    """
    with tempfile.TemporaryDirectory(prefix="sync-analyzer-") as folder, progress_bars(console) as bars:
        return asyncio.run(_LocalRun(Path(folder), jobs, bars).run(content, output))


@dataclass
class _LocalRun:
    folder: Path
    jobs: int
    bars: Bars
    items: dict[int, TaskID] = field(default_factory=dict)

    async def run(self, content: bytes, output: Path) -> Document:
        backend = open_backend(self.folder)
        try:
            batch = await self._submit(backend, content)
            await self._work(backend, batch.batch_id)
            return await _write_results(backend, batch.batch_id, output)
        finally:
            await backend.close()

    async def _submit(self, backend: Backend, content: bytes) -> Batch:
        clock, store, keys = SystemClock(), backend.batch_store, backend.idempotency_keys
        policy = read_settings(MediaSettings).user_policy
        submitted = await SubmitBatch(store, keys, clock, policy, _UNLIMITED).upload(content, BatchOptions())
        start = StartBatch(store, backend.work_queue, keys, clock)
        return await start.start(submitted.batch.batch_id, StartOptions(parallel_jobs=self.jobs))

    async def _work(self, backend: Backend, batch_id: str) -> None:
        """Run a worker until the batch has ended; Ctrl-C ends worker and children at once."""
        settings = read_settings(WorkerSettings, slots=self.jobs, grace_seconds=0.1)
        media = open_media(settings.user_policy)
        analyzer = build_analyzer(settings, settings.user_policy, media)
        worker = build_worker(settings, backend, analyzer, on_progress=self._show_item, media=media)
        working = asyncio.create_task(worker.run())
        try:
            with _interruptible(working):
                await self._watch(backend, batch_id, working)
        finally:
            worker.stop()
            await asyncio.gather(working, return_exceptions=True)
            await analyzer.close()
            if media is not None:
                await media.close()
        if working.cancelled():
            raise KeyboardInterrupt

    async def _watch(self, backend: Backend, batch_id: str, working: asyncio.Task[None]) -> None:
        bar = self.bars.add_task("batch", total=None)
        while not working.done():
            batch = await backend.batch_store.get(batch_id)
            counters = batch.counters
            text = f"batch {counters.ended}/{counters.total}"
            self.bars.update(bar, completed=counters.ended, total=counters.total, description=text)
            if batch.status.is_terminal:
                return
            await asyncio.sleep(_POLL_SECONDS)
        if not working.cancelled():
            working.result()

    def _show_item(self, begun: Begun, progress: Progress) -> None:
        """Keep one bar per running item; a finished one makes room."""
        index, done = begun.item.index, progress.fraction >= 1.0
        if index not in self.items:
            self.items[index] = self.bars.add_task(begun.item.item_id, total=1.0)
        name = begun.item.request.description or Path(begun.item.request.dub_file).name
        text = f"{begun.item.item_id} {progress.stage.value} {name[:40]}"
        self.bars.update(self.items[index], completed=progress.fraction, description=text, visible=not done)


@contextlib.contextmanager
def _interruptible(working: asyncio.Task[None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, working.cancel)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _write_results(backend: Backend, batch_id: str, output: Path) -> Document:
    store = backend.batch_store
    batch = await store.get(batch_id)
    document = b"".join(
        [part async for part in stream_results_document(batch, item_stream(store, batch_id), SystemClock().now())]
    )
    if output.suffix.lower() == ".csv":
        table = [part async for part in stream_results_csv(batch, item_stream(store, batch_id))]
        write_whole(output, b"".join(table).decode())
    else:
        write_whole(output, document.decode())
    parsed: Document = json.loads(document)
    return parsed
