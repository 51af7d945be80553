"""`sync-analyzer serve` and `worker`: the service on one machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from handlers.backends import check_configured
from handlers.cli.backend_choice import BackendOption, LocalOption, backend_environment
from handlers.cli.drop_watch import drop_folder_watched
from handlers.logs import set_up_logging
from handlers.settings import ServeSettings, WebhookSettings, WorkerSettings, read_settings
from sync_core.domain.errors import ConfigurationError

if TYPE_CHECKING:
    import uvicorn

log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_LONG_LIFE_SECONDS = 60.0


def serve(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at.", min=0, max=65535)] = 8000,
    workers: Annotated[
        int | None, typer.Option(help="Items analysed at once; 0 starts no worker.", min=0, max=64)
    ] = None,
    backend: BackendOption = None,
    local: LocalOption = False,
) -> None:
    """Run the API and a worker, watch the drop folder and deliver webhooks, until Ctrl-C."""
    with backend_environment(backend, local=local):
        settings = read_settings(ServeSettings)
        worker_settings = read_settings(WorkerSettings, slots=workers or None)
        read_settings(WebhookSettings)  # whose process would else end again and again
        slots = worker_settings.slots if workers is None else workers
        set_up_logging(settings.log_level, settings.log_format)
        listening = _listen(host, port)
        log.info("API docs: http://%s:%d/docs", host, listening.getsockname()[1])
        asyncio.run(_serve(settings, listening, _processes_beside(slots, delivers=local or settings.backend != "aws")))


def worker(
    slots: Annotated[int | None, typer.Option(help="Items analysed at once.", min=1, max=64)] = None,
    with_parent: Annotated[bool, typer.Option(help="Stop when standard input ends.", hidden=True)] = False,
) -> None:
    """Run a worker on the configured back end, until Ctrl-C."""
    from handlers.worker import main

    main(slots, stop_with_stdin=with_parent)


def _listen(host: str, port: int) -> socket.socket:
    try:
        listening = socket.create_server((host, port), reuse_port=False)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen at {host}:{port} ({error.strerror}); choose another with --host and --port."
        ) from error
    # asyncio does this for sockets that it opens itself; without it each answer waits 40 ms for an acknowledgement
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


async def _serve(settings: ServeSettings, listening: socket.socket, beside: Mapping[str, Sequence[str]]) -> None:
    await check_configured(settings)  # what cannot be opened is told here, in one sentence
    server = _make_server()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _ask_to_exit, server)
    async with _kept_running(beside), drop_folder_watched(settings):
        await server.serve(sockets=[listening])


def _processes_beside(slots: int, *, delivers: bool) -> dict[str, list[str]]:
    """Give the commands of the processes that run beside the API; in the cloud a function delivers webhooks."""
    worker = {"worker": ["worker", "--slots", str(slots)]} if slots else {}
    return {**worker, **({"sender of webhooks": ["webhooks", "deliver"]} if delivers else {})}


def _make_server() -> uvicorn.Server:
    import uvicorn

    class Server(uvicorn.Server):
        """Leaves the signals to `_serve`, which has a worker to stop as well."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    config = uvicorn.Config("handlers.api.main:app", log_config=None, access_log=False, timeout_graceful_shutdown=5)
    return Server(config)


def _ask_to_exit(server: uvicorn.Server) -> None:
    server.should_exit = True


@contextlib.asynccontextmanager
async def _kept_running(commands: Mapping[str, Sequence[str]]) -> AsyncIterator[None]:
    """Keep processes alive, each started again if it dies; at the end, ask all to stop and wait for them."""
    keepers = [asyncio.create_task(_keep(name, command)) for name, command in commands.items()]
    try:
        yield
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)


async def _keep(name: str, command: Sequence[str]) -> None:
    pause, clock = _FIRST_PAUSE_SECONDS, asyncio.get_running_loop().time
    while True:
        started_at = clock()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "handlers.cli.main", *command, "--with-parent"),
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            await _stop(process)
            raise
        if clock() - started_at > _LONG_LIFE_SECONDS:
            pause = _FIRST_PAUSE_SECONDS
        log.error("the %s ended with code %s and is started again in %.0f s", name, code, pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    await process.wait()
