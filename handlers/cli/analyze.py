"""`sync-analyzer analyze`: one pair, without any service."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from handlers.settings import AiModelSettings, MediaSettings, read_settings
from sync_core.domain.methods import DEFAULT_AI_MODEL, AiModel, Method
from sync_core.domain.result_document import result_document
from sync_core.jobs.csv_rows import parse_ai_model, parse_methods

if TYPE_CHECKING:
    from sync_core.domain.result import AnalysisResult, Progress
    from sync_core.jobs.ports.analyzer import AnalysisRequest
    from sync_core.pipeline.ai_settings import AiSettings


def analyze(
    master: Annotated[str, typer.Argument(help="The master: audio or video; #a:1 behind it chooses an audio stream.")],
    dub: Annotated[str, typer.Argument(help="The dub to be judged against it.")],
    methods: Annotated[str, typer.Option(help="Comma-separated: mfcc, onset, spectral, ai.")] = "mfcc,onset,spectral",
    ai_model: Annotated[str, typer.Option(help="Model of the ai method.")] = "",
    per_channel: Annotated[bool, typer.Option(help="Also give the offset of each of the dub's channels.")] = False,
    tolerance: Annotated[
        float | None, typer.Option(help="Seconds that count as in sync; default: one video frame.", min=0.0)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Tell by how much DUB is out of sync with MASTER, and what to do about it."""
    from sync_core.jobs.ports.analyzer import AnalysisRequest

    chosen = parse_methods(methods)
    model = parse_ai_model(ai_model) or (DEFAULT_AI_MODEL if Method.AI in chosen else None)
    request = AnalysisRequest(master, dub, chosen, model, per_channel)
    if as_json:
        result = _run(request, tolerance, lambda _progress: None)
        sys.stdout.write(json.dumps(result_document(result), indent=2) + "\n")
    else:
        _run_and_show(request, tolerance)


def _run(request: AnalysisRequest, tolerance: float | None, on_progress: Callable[[Progress], None]) -> AnalysisResult:
    from handlers.cli.media_addresses import locating
    from sync_core.pipeline.compare_files import compare_files

    policy = read_settings(MediaSettings).user_policy
    return compare_files(
        request,
        policy=policy,
        tolerance_seconds=tolerance,
        ai=_ai_settings(request),
        on_progress=on_progress,
        locate=locating(policy),
    )


def _ai_settings(request: AnalysisRequest) -> AiSettings:
    """Read the settings of the ai method; a GPU is looked for only if a model that could use it was asked for."""
    from sync_core.pipeline.ai_settings import AiSettings

    settings = read_settings(AiModelSettings)
    heavy = Method.AI in request.methods and request.ai_model is not AiModel.SPECTRAL
    return AiSettings(
        model_dir=settings.model_dir,
        device=settings.ai_device if heavy else "cpu",
        budget_seconds=settings.ai_budget_seconds,
        hidden_layer=settings.ai_hidden_layer,
        cpu_threads=os.cpu_count() or 1,
    ).resolved()


def _run_and_show(request: AnalysisRequest, tolerance: float | None) -> None:
    from rich.console import Console

    from handlers.cli.display import progress_bars, show_result

    with progress_bars(Console(stderr=True)) as bars:
        bar = bars.add_task("starting", total=1.0)
        result = _run(
            request, tolerance, lambda now: bars.update(bar, completed=now.fraction, description=now.stage.value)
        )
    show_result(Console(), result_document(result))
