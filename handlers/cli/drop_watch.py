"""Watch a local drop folder while `serve` runs, and write the results of what was dropped there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from handlers.backends import open_configured
from handlers.drop_use_cases import build_drop_results, build_take_drop
from handlers.metrics import DROPS
from handlers.settings import ServeSettings
from sync_core.backends.embedded.drop_store import EmbeddedDropStore
from sync_core.backends.embedded.dropped_files import DroppedFiles
from sync_core.domain.errors import ConfigurationError, SyncError
from sync_core.jobs.drop import StillWritten, TakeDrop
from sync_core.jobs.drop_results import WriteDropResults
from sync_core.jobs.duties import Duty, repeated
from sync_core.jobs.ports.clock import SystemClock

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1
"""How often files that may still grow are looked at."""
_LOOK_AT_MEDIA_SECONDS = 1.0
"""How often it is seen whether media are still being written that a CSV file names."""
_SCAN_SECONDS = 30.0
"""How often the whole folder is looked through: other machines' writes to a network folder are told by nobody."""
_RESULTS_SECONDS = 2.0
_AFTER_ERROR_SECONDS = 10.0
_GATHER_MILLISECONDS, _STEP_MILLISECONDS = 200, 100


@asynccontextmanager
async def drop_folder_watched(settings: ServeSettings) -> AsyncIterator[None]:
    """Watch the configured folder while the block lasts.

    Raises
    ------
    ConfigurationError
        If it cannot be watched.
    """
    folder, results = settings.watched_dir, settings.written_dir
    if folder is None or results is None:
        yield
        return
    _make(folder)
    backend, clock = open_configured(settings), SystemClock()
    store = EmbeddedDropStore(folder, results, source=settings.drop_source)
    files = DroppedFiles(folder, settings.drop_settle_seconds)
    looking = ThreadPoolExecutor(1, thread_name_prefix="drop-folder")
    watcher = _Watcher(files, looking, build_take_drop(settings, backend, store, clock))
    duties = [watcher.listen, watcher.scan, watcher.take, _writing(build_drop_results(backend, store, clock))]
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it would log each change
    log.info("files dropped into %s become batches; their results go to %s", folder, results)
    try:
        async with repeated(*duties, clock=clock, pause_after_error_seconds=_AFTER_ERROR_SECONDS):
            yield
    finally:
        await asyncio.to_thread(looking.shutdown)
        await backend.close()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"The drop folder {folder} cannot be made ({error}); set SYNC_DROP_DIR.") from error


class _Watcher:
    """Brings together what the system tells of changes, what a look finds, and what has settled.

    One thread does all the looking, so that nothing comes between one look and what is noted of it.
    """

    def __init__(self, files: DroppedFiles, looking: ThreadPoolExecutor, taking: TakeDrop) -> None:
        self._files = files
        self._looking = looking
        self._taking = taking
        self._news = asyncio.Event()

    async def listen(self) -> None:
        """Take notice of changes as they happen."""
        from watchfiles import awatch  # brings anyio's threads: only who watches needs it

        root = self._files.root
        async for changes in awatch(root, watch_filter=None, debounce=_GATHER_MILLISECONDS, step=_STEP_MILLISECONDS):
            await self._look(self._files.note_all, [Path(path) for _, path in changes])
            self._news.set()

    async def scan(self) -> None:
        """Look through the whole folder, at first and then again and again."""
        await self._look(self._files.scan)
        self._news.set()
        await asyncio.sleep(_SCAN_SECONDS)

    async def take(self) -> None:
        """Take what has settled, as long as anything waits."""
        await self._news.wait()
        self._news.clear()
        while self._files.has_waiting:
            for key, version in await self._look(self._files.settled):
                await self._take(key, version)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _take(self, key: str, version: str) -> None:
        try:
            taken = await self._taking.take(key, version)
        except StillWritten as error:
            log.debug("%s", error.message)
            await self._look(self._files.again, key, _LOOK_AT_MEDIA_SECONDS)
        except SyncError as error:
            log.warning("%s is tried again later: %s", key, error.message)
            await self._look(self._files.again, key)
        except Exception:
            log.exception("a bug while taking %s, which is tried again later", key)
            await self._look(self._files.again, key)
        else:
            DROPS.labels(taken.outcome.value).inc()
            await self._look(self._files.done, key, version)

    async def _look(self, look: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._looking, lambda: look(*args, **kwargs))


def _writing(results: WriteDropResults) -> Duty:
    async def write() -> None:
        await results.write_due()
        await asyncio.sleep(_RESULTS_SECONDS)

    return write
