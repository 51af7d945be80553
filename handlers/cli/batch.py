"""`sync-analyzer batch`: batches without a service (`run`), or through an API (the other commands)."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from handlers.cli.client import ApiClient, Document
from handlers.cli.display import progress_bars, results_table
from handlers.cli.files import check_writable, write_whole
from sync_core.domain.batch import Priority
from sync_core.domain.errors import ServiceUnreachable

app = typer.Typer(help="Run batches of pairs, here or on a service.", no_args_is_help=True)

SOME_FAILED = 1
_MOST_JOBS = 64
_ENDED = ("completed", "failed", "cancelled")

Api = Annotated[str, typer.Option("--api", envvar="SYNC_API_URL", help="Address of the service.")]
DEFAULT_API = "http://127.0.0.1:8000"
BatchId = Annotated[str, typer.Argument(help="The batch's id, as `submit` printed it.")]


@app.command()
def run(
    pairs: Annotated[Path, typer.Argument(help="CSV file of pairs.", exists=True, dir_okay=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the results go; .csv gives CSV, else JSON.")],
    jobs: Annotated[int, typer.Option(help="Pairs analysed at once.", min=1, max=_MOST_JOBS)] = min(
        os.cpu_count() or 1, _MOST_JOBS
    ),
) -> None:
    """Analyse all pairs of a CSV file on this machine, without any service."""
    from handlers.cli.local_batch import run_locally

    check_writable(output)
    results = run_locally(pairs.read_bytes(), jobs=jobs, output=output, console=Console(stderr=True))
    _summarise(results)


@app.command()
def submit(
    pairs: Annotated[Path, typer.Argument(help="CSV file of pairs.", exists=True, dir_okay=False)],
    api: Api = DEFAULT_API,
    description: Annotated[str, typer.Option(help="Description of the batch.")] = "",
    priority: Annotated[Priority, typer.Option(help="Which queue its items wait in.")] = Priority.NORMAL,
    webhook: Annotated[str | None, typer.Option(help="Address to notify.")] = None,
    parallel_jobs: Annotated[int, typer.Option(help="Items in work at once.", min=1, max=64)] = 2,
    start: Annotated[bool, typer.Option(help="Start it at once.")] = True,
    watch: Annotated[bool, typer.Option(help="Stay and show its progress.")] = False,
) -> None:
    """Upload a CSV file to a service and start it; prints the batch's id."""
    fields = {"description": description, "priority": priority.value}
    if webhook:
        fields["notification_webhook"] = webhook
    with ApiClient(api) as client:
        batch_id = client.upload(pairs, fields)["batch_id"]
        typer.echo(batch_id)
        if start or watch:
            client.start(batch_id, {"parallel_jobs": parallel_jobs})
        if watch:
            _summarise(watch_batch(client, batch_id))


@app.command()
def status(batch_id: BatchId, api: Api = DEFAULT_API) -> None:
    """Print how far a batch is, as JSON with its items."""
    with ApiClient(api) as client:
        _print_json(client.status(batch_id, include_details=True))


@app.command()
def watch(batch_id: BatchId, api: Api = DEFAULT_API) -> None:
    """Show a batch's progress until it ends, then its results."""
    with ApiClient(api) as client:
        _summarise(watch_batch(client, batch_id))


@app.command()
def results(
    batch_id: BatchId,
    api: Api = DEFAULT_API,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; .csv gives CSV.")] = None,
) -> None:
    """Fetch a batch's results, partial while it runs."""
    with ApiClient(api) as client:
        if output is None:
            _print_json(client.results(batch_id))
        elif output.suffix.lower() == ".csv":
            write_whole(output, client.results_csv(batch_id))
        else:
            write_whole(output, json.dumps(client.results(batch_id), indent=2) + "\n")


@app.command()
def cancel(batch_id: BatchId, api: Api = DEFAULT_API) -> None:
    """Cancel a batch; what runs stops within seconds."""
    with ApiClient(api) as client:
        typer.echo(client.cancel(batch_id)["message"])


def watch_batch(
    client: ApiClient, batch_id: str, *, poll_seconds: float = 0.5, patience_seconds: float = 60.0
) -> Document:
    """Show a bar until the batch has ended; gives its results.

    A service that has answered once may be away for `patience_seconds`, say to be started anew.
    """
    ask = _PatientStatus(client, batch_id, patience_seconds)
    with progress_bars(Console(stderr=True), counted=True) as bars:
        bar = bars.add_task(batch_id)
        while True:
            now = ask()
            if now is None:
                bars.update(bar, description=f"{batch_id} (the service does not answer)")
            else:
                ended = now["items_completed"] + now["items_failed"] + now["items_cancelled"]
                bars.update(bar, completed=ended, total=now["items_total"], description=f"{batch_id} {now['status']}")
                if now["status"] in _ENDED and not now["items_processing"]:
                    return client.results(batch_id)
            time.sleep(poll_seconds)


class _PatientStatus:
    """Asks for a batch's status; None while a service that has answered before is away for a little."""

    def __init__(self, client: ApiClient, batch_id: str, patience_seconds: float) -> None:
        self._client = client
        self._batch_id = batch_id
        self._patience_seconds = patience_seconds
        self._answered_at = float("-inf")

    def __call__(self) -> Document | None:
        try:
            now = self._client.status(self._batch_id)
        except ServiceUnreachable:
            if time.monotonic() - self._answered_at > self._patience_seconds:
                raise
            return None
        self._answered_at = time.monotonic()
        return now


def _summarise(document: Document) -> None:
    """Show the results, and end with the exit code that they deserve."""
    Console().print(results_table(document["results"]))
    summary = document["summary"]
    if summary["items_completed"] < summary["items_total"]:
        raise typer.Exit(SOME_FAILED)


def _print_json(document: Document) -> None:
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
