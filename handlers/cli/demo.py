"""`sync-analyzer demo`: the whole system on real audio, in one command."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from handlers.cli.backend_choice import BackendOption, LocalOption, backend_arguments
from handlers.cli.batch import watch_batch
from handlers.cli.client import ApiClient, Document
from handlers.settings import CommonSettings, read_settings
from sync_core.domain.errors import ConfigurationError, ServiceUnreachable
from sync_core.reports.verdict_text import headline

if TYPE_CHECKING:
    from handlers.cli.demo_audio.pairs import DemoPair, DemoSet

_START_SECONDS = 60.0
_AGREES_WITHIN_SECONDS = 0.001


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop after the results.")] = False,
    port: Annotated[int, typer.Option(help="Port of the API; a free one if it is taken.", min=1, max=65535)] = 8000,
    backend: BackendOption = None,
    local: LocalOption = False,
) -> None:
    """Start the service, send it a batch of real audio, and show what it finds beside the truth."""
    console = Console()
    settings = read_settings(CommonSettings)
    folder = settings.data_dir.resolve() / "demo"
    pairs = _make_pairs(folder, console)
    options = ["--port", str(_choose_port(port)), *backend_arguments(backend, local=local)]
    with _service(options, settings, folder) as (address, process):
        agrees = _run_batch(ApiClient(address), pairs, folder, console)
        if not once:
            console.print(f"The service goes on at [bold]{address}/docs[/bold]; Ctrl-C stops it.")
            with contextlib.suppress(KeyboardInterrupt):
                process.wait()
    if not agrees:
        raise typer.Exit(1)


def _make_pairs(folder: Path, console: Console) -> DemoSet:
    from handlers.cli.demo_audio.pairs import make_demo_pairs

    with console.status("making demo pairs") as status:
        pairs = make_demo_pairs(folder, on_progress=status.update)
    console.print(pairs.source)
    return pairs


def _run_batch(client: ApiClient, pairs: DemoSet, folder: Path, console: Console) -> bool:
    """Submit the pairs as a customer would; tells whether every answer agrees with the truth."""
    with client:
        batch_id = client.upload(_write_csv(pairs, folder / "pairs.csv"), {"description": "Demo"})["batch_id"]
        client.start(batch_id, {"parallel_jobs": 2})
        results = watch_batch(client, batch_id, poll_seconds=0.2)
    rows = list(zip(pairs.pairs, results["results"], strict=True))
    console.print(_comparison(rows))
    return all(_agrees(pair, item) for pair, item in rows)


def _write_csv(pairs: DemoSet, path: Path) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["master_file", "dub_file", "methods", "description", "tags"])
        for pair in pairs.pairs:
            writer.writerow([pair.master, pair.dub, "mfcc,onset,spectral", pair.title, "demo"])
    return path


def _comparison(rows: list[tuple[DemoPair, Document]]) -> Table:
    table = Table("pair", "truth", "found", "confidence", "answer", "")
    for pair, item in rows:
        result = item["result"] or {}
        agrees = _agrees(pair, item)
        table.add_row(
            pair.title,
            _seconds(pair.truth.offset_seconds),
            _seconds(result.get("offset_seconds")),
            f"{100 * result.get('confidence', 0.0):.1f} %",
            headline(result) if result else item["error"],
            Text("agrees" if agrees else "differs", style="green" if agrees else "bold red"),
        )
    return table


def _seconds(offset: float | None) -> str:
    return "no match" if offset is None else f"{offset:+.4f} s"


def _agrees(pair: DemoPair, item: Document) -> bool:
    result, truth = item["result"], pair.truth
    if not result or result["verdict"] != truth.verdict:
        return False
    found: float | None = result["offset_seconds"]
    if found is None or truth.offset_seconds is None:
        return found is truth.offset_seconds
    return abs(found - truth.offset_seconds) <= _AGREES_WITHIN_SECONDS


def _choose_port(wanted: int) -> int:
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)) as probe:
            return int(probe.getsockname()[1])
    raise ConfigurationError("No port of 127.0.0.1 can be listened at.")


@contextlib.contextmanager
def _service(
    options: list[str], settings: CommonSettings, folder: Path
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run `serve` in a process of its own, with the demo's folder among its media roots."""
    roots = [str(root) for root in (*settings.media_roots, folder)]
    log_path = folder / "service.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "handlers.cli.main", "serve", *options],
            env={
                **os.environ,
                "SYNC_MEDIA_ROOTS": json.dumps(roots),
                "SYNC_DATA_DIR": str(settings.data_dir.resolve()),
            },
            stderr=log,
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{options[1]}"
        _wait_until_ready(address, process, log_path)
        yield address, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _wait_until_ready(address: str, process: subprocess.Popen[bytes], log_path: Path) -> None:
    """Wait until the API answers and a worker has registered."""
    end = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(ServiceUnreachable), ApiClient(address) as client:
            if client.health()["workers"]:
                return
        time.sleep(0.1)
    raise ServiceUnreachable(f"The service did not come up; its last words:\n{log_path.read_text()[-2000:]}")
