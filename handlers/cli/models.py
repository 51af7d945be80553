"""`sync-analyzer models`: which AI models are installed, and getting them. Only `pull` touches the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sync_core.domain.methods import AiModel, Method, label

if TYPE_CHECKING:
    from sync_core.models.directory import Manifest, ModelDirectory, ModelStatus

app = typer.Typer(help="List, download, convert and check the models of the ai method.", no_args_is_help=True)

ModelDir = Annotated[
    Path, typer.Option("--model-dir", envvar="SYNC_MODEL_DIR", help="Folder that the models are kept in.")
]
DEFAULT_MODEL_DIR = Path(".sync-analyzer/models")


@app.command("list")
def list_models(model_dir: ModelDir = DEFAULT_MODEL_DIR) -> None:
    """Show each model: ready, absent or damaged, and what to do."""
    from rich.console import Console
    from rich.table import Table

    table = Table("model", "state", "source", "licence", "what to do")
    for status in _directory(model_dir).statuses():
        known = status.manifest
        source, licence = (known.source, known.licence) if known else ("", "")
        table.add_row(status.model.value, status.state.value, source, licence, status.reason or "")
    Console().print(table)


@app.command()
def verify(
    models: Annotated[list[AiModel] | None, typer.Argument(help="Default: those that are installed.")] = None,
    model_dir: ModelDir = DEFAULT_MODEL_DIR,
) -> None:
    """Compare the models' files with their manifests; exit code 1 if one is not as it should be."""
    statuses = _chosen(_directory(model_dir), models)
    for status in statuses:
        typer.echo(status.reason or f"{label(Method.AI, status.model)} is ready.")
    if any(status.reason for status in statuses):
        raise typer.Exit(1)


@app.command()
def pull(
    model: AiModel,
    source: Annotated[str, typer.Option(help="Another repository on the model hub, or https address.")] = "",
    model_dir: ModelDir = DEFAULT_MODEL_DIR,
) -> None:
    """Download a model and install it."""
    from sync_core.models import pull as pulling

    offer = pulling.offer_for(model, source or None)
    typer.echo(f"downloading {offer.location} ({offer.size}, licence {offer.licence}) into {model_dir / model}")
    _report(model, pulling.pull(model, _directory(model_dir), source=source or None))


@app.command()
def convert(
    model: AiModel,
    files: Annotated[Path, typer.Argument(help="YAMNet's Keras weights (.h5), or a checkpoint folder.")],
    source: Annotated[str, typer.Option(help="Where they came from, for the manifest.")] = "",
    licence: Annotated[str, typer.Option(help="Under which licence, for the manifest.")] = "unknown",
    model_dir: ModelDir = DEFAULT_MODEL_DIR,
) -> None:
    """Install a model from files on this machine."""
    from sync_core.models.convert import convert as convert_files

    _report(model, convert_files(model, files, _directory(model_dir), source=source or None, licence=licence))


def _directory(model_dir: Path) -> ModelDirectory:
    from sync_core.models.directory import ModelDirectory

    return ModelDirectory(model_dir)


def _chosen(directory: ModelDirectory, models: list[AiModel] | None) -> list[ModelStatus]:
    from sync_core.models.directory import ModelState

    if models:
        return [directory.status(model) for model in models]
    return [status for status in directory.statuses() if status.state is not ModelState.ABSENT]


def _report(model: AiModel, manifest: Manifest) -> None:
    size = sum(entry.bytes for entry in manifest.files.values())
    typer.echo(f"{label(Method.AI, model)} is installed: {manifest.architecture}, {size / 1e6:.1f} MB.")
