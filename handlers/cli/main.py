"""`sync-analyzer`: the command line.

Exit codes: 0 done, 1 some items failed, 2 bad usage or input, 3 service not reachable, 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from handlers.cli import analyze, batch, demo, health, models, serve, webhooks
from handlers.cli.errors import error_text, exit_code
from handlers.version import VERSION
from sync_core.domain.errors import SyncError

INTERRUPTED = 130

app = typer.Typer(
    name="sync-analyzer",
    help="Tell by how much a dub is out of sync with its master, why, how sure that is, and what to do.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("analyze")(analyze.analyze)
app.add_typer(batch.app, name="batch")
app.add_typer(models.app, name="models")
app.add_typer(webhooks.app, name="webhooks")
app.command("serve")(serve.serve)
app.command("worker")(serve.worker)
app.command("demo")(demo.demo)
app.add_typer(health.app, name="health")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(VERSION)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Hold the options that stand before a command."""


def main() -> None:
    """Run the command line; known errors become one sentence and an exit code."""
    try:
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            typer.echo("Interrupted; nothing was left half-written.", err=True)
        raise
    except SyncError as error:
        typer.echo(error_text(error), err=True)
        sys.exit(exit_code(error))


if __name__ == "__main__":
    main()
