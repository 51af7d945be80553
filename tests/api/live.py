"""The real service in a thread of the test: uvicorn, the embedded back end, and a worker with a scripted analyzer."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Self, TypeVar

import httpx
import uvicorn

from handlers.api.app import create_app
from handlers.api.services import open_services
from handlers.settings import ApiSettings, WorkerSettings
from handlers.worker import build_worker
from sync_core.backends.embedded.open import open_backend
from tests.api.scripted import ScriptedAnalyzer

_T = TypeVar("_T")
SAMPLE = (
    "master_file,dub_file,methods,ai_model,description,tags\n"
    '/mnt/data/audio/master1.wav,/mnt/data/audio/dub1.wav,"mfcc,ai",wav2vec2,Daily batch item 1,"daily,batch"\n'
    '/mnt/data/audio/master2.wav,/mnt/data/audio/dub2.wav,"onset,spectral",,Daily batch item 2,"daily,batch"\n'
    '/mnt/data/audio/master3.wav,/mnt/data/audio/dub3.wav,ai,wav2vec2,Daily batch item 3,"daily,batch,priority"\n'
)


class LiveService:
    """Start with `with`. `analyzer` scripts what items do; without `worker` nothing runs them."""

    def __init__(self, folder: Path, *, worker: bool = True, **settings: object) -> None:
        self.folder = folder
        self.analyzer = ScriptedAnalyzer()
        self._settings = ApiSettings(data_dir=folder, media_roots=(Path("/mnt/data"),), **settings)
        self._with_worker = worker
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio does so for its own sockets only
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20), "the service did not start"
        self.http = httpx.Client(base_url=self.url, timeout=30)
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self.analyzer.let_go()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive(), "the service did not stop"

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = create_app(lambda: open_services(self._settings))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2))
        serving = asyncio.create_task(server.serve(sockets=[self._socket]))
        while not server.started:
            await asyncio.sleep(0.005)
        self.backend = open_backend(self.folder)
        worker = build_worker(
            WorkerSettings(data_dir=self.folder, slots=4, heartbeat_seconds=0.1), self.backend, self.analyzer
        )
        working = asyncio.create_task(worker.run() if self._with_worker else asyncio.sleep(0))
        if self._with_worker:
            await self.backend.worker_registry.announce(worker.info, ttl_seconds=15)
        self._ready.set()
        await self._stop.wait()
        worker.stop()
        server.should_exit = True
        await asyncio.gather(working, serving)
        await self.backend.close()

    def run(self, work: Coroutine[object, object, _T]) -> _T:
        """Run a coroutine where the service runs, to look behind it or to prepare what is there."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def upload(self, text: str | bytes = SAMPLE, **fields: str) -> httpx.Response:
        content = text.encode() if isinstance(text, str) else text
        return self.http.post("/api/v1/analysis/batch/upload-csv", files={"file": ("b.csv", content)}, data=fields)

    def uploaded(self, text: str | bytes = SAMPLE, **fields: str) -> str:
        answer = self.upload(text, **fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["batch_id"])

    def batch(self, batch_id: str, what: str = "", **params: object) -> httpx.Response:
        return self.http.get(f"/api/v1/analysis/batch/{batch_id}/{what}", params=params)

    def start(self, batch_id: str, **options: object) -> httpx.Response:
        return self.http.post(f"/api/v1/analysis/batch/{batch_id}/start", json=options)

    def cancel(self, batch_id: str) -> httpx.Response:
        return self.http.delete(f"/api/v1/analysis/batch/{batch_id}")

    def status(self, batch_id: str, **params: object) -> dict:
        return self.batch(batch_id, "status", **params).json()

    def wait(self, batch_id: str, *statuses: str) -> dict:
        """Wait for one of the statuses, by default for any that is final."""
        awaited = statuses or ("completed", "failed", "cancelled")
        while (status := self.status(batch_id))["status"] not in awaited or status["items_processing"]:
            threading.Event().wait(0.01)
        return status

    def finished(self, text: str | bytes = SAMPLE, **fields: str) -> str:
        batch_id = self.uploaded(text, **fields)
        assert self.start(batch_id, parallel_jobs=4).status_code == 200
        self.wait(batch_id)
        return batch_id


def rows(*dubs: str) -> str:
    """A CSV file with one row per dub."""
    lines = [f"/mnt/data/master.wav,/mnt/data/{dub}.wav" for dub in dubs]
    return "\n".join(["master_file,dub_file", *lines]) + "\n"
