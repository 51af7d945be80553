"""`sync-analyzer health`: what containers run to tell whether their process is well. Exit code 1: it is not."""

from __future__ import annotations

import asyncio
import socket
from typing import Annotated

import typer

from handlers.backends import open_configured
from handlers.cli.client import ApiClient
from handlers.settings import CommonSettings, read_settings
from sync_core.domain.errors import SyncError, TransientError
from sync_core.domain.worker import WorkerInfo
from sync_core.jobs.ports.clock import SystemClock

app = typer.Typer(help="Tell whether a process is well; for the health checks of containers.", no_args_is_help=True)

Api = Annotated[str, typer.Option("--api", envvar="SYNC_API_URL", help="Address of the service.")]


@app.command("api")
def api(url: Api = "http://127.0.0.1:8000") -> None:
    """Ask the API how it is; well if it answers, with or without workers."""
    try:
        with ApiClient(url) as client:
            typer.echo(client.health()["status"])
    except SyncError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from error


@app.command("worker")
def worker() -> None:
    """Look whether a worker of this machine announces itself; its announcements end when it hangs.

    Where the storage does not answer nothing is known of the worker, and a fresh one would not do better: that is well.
    """
    try:
        here = asyncio.run(_workers_here())
    except TransientError as error:
        typer.echo(f"nothing is known of the worker: {error.message}", err=True)
        return
    if not here:
        typer.echo(f"No worker of {socket.gethostname()} announces itself.", err=True)
        raise typer.Exit(1)
    typer.echo(", ".join(worker.worker_id for worker in here))


async def _workers_here() -> list[WorkerInfo]:
    backend = open_configured(read_settings(CommonSettings))
    try:
        workers = await backend.worker_registry.live(now=SystemClock().now())
    finally:
        await backend.close()
    return [worker for worker in workers if worker.host == socket.gethostname()]
