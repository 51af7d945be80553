"""`sync-analyzer`: the command line.

Exit codes: 0 done, 1 some items failed, 2 bad usage or input, 3 service not reachable, 130 interrupted.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from handlers.cli.errors import error_text, exit_code
from sync_core.domain.errors import SyncError

INTERRUPTED = 130

_COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "analyze": ("handlers.cli.analyze", "analyze"),
    "serve": ("handlers.cli.serve", "serve"),
    "worker": ("handlers.cli.serve", "worker"),
    "demo": ("handlers.cli.demo", "demo"),
    "batch": ("handlers.cli.batch", "app"),
    "models": ("handlers.cli.models", "app"),
    "webhooks": ("handlers.cli.webhooks", "app"),
    "health": ("handlers.cli.health", "app"),
}
"""Where each command is: a module, and in it a function or the app of a group."""


class _OnDemand(TyperGroup):
    """Imports a command's module only when that command is used: none waits for what the others need."""

    def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002  as typer calls it
        return list(_COMMANDS)

    def get_command(self, ctx: object, cmd_name: str) -> TyperCommand | TyperGroup | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name]
        found = getattr(import_module(module), attribute)
        holder = typer.Typer()
        if isinstance(found, typer.Typer):
            holder.add_typer(found, name=cmd_name)
        else:
            holder.command(cmd_name)(found)
        command = get_group(holder).commands[cmd_name]
        assert isinstance(command, TyperCommand | TyperGroup)
        return command


app = typer.Typer(
    name="sync-analyzer",
    cls=_OnDemand,
    help="Tell by how much a dub is out of sync with its master, why, how sure that is, and what to do.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from handlers.version import VERSION  # reads the installed packages' metadata

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
    finally:
        gc.freeze()  # the last collection would look at every object, to free what ends with the process anyway


if __name__ == "__main__":
    main()
