"""`sync-analyzer webhooks`: secrets to sign with, and the process that delivers."""

from __future__ import annotations

from typing import Annotated

import typer

from sync_core.jobs.webhook_secrets import new_secret

app = typer.Typer(help="Make secrets for webhooks, and deliver them.", no_args_is_help=True)


@app.command()
def secret() -> None:
    """Print a new secret for SYNC_WEBHOOK_SECRETS and for the receiver; it is kept nowhere."""
    typer.echo(new_secret())


@app.command()
def deliver(
    with_parent: Annotated[bool, typer.Option(help="Stop when standard input ends.", hidden=True)] = False,
) -> None:
    """Deliver webhooks until Ctrl-C. `serve` does so by itself; an API that is run otherwise needs this beside it."""
    from handlers.webhooks import main

    main(stop_with_stdin=with_parent)
