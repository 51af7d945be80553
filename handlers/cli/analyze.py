"""`sync-analyzer analyze`: one pair, without any service."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sync_core.domain.media import MediaPolicy, MediaScheme, parse_media_ref
from sync_core.domain.methods import DEFAULT_AI_MODEL, AiModel, Depth, Method, parse_ai_model, parse_methods
from sync_core.domain.result_document import result_document

if TYPE_CHECKING:
    from sync_core.domain.result import AnalysisResult, Progress
    from sync_core.jobs.ports.analyzer import AnalysisRequest
    from sync_core.media.locate import Locate
    from sync_core.pipeline.ai_settings import AiSettings
    from sync_core.pipeline.decoder_process import DecoderProcess

_LARGE_BYTES: Final = 60_000_000
"""A dub that takes long enough to decode for a process of its own, as far as its size tells."""


def analyze(
    master: Annotated[str, typer.Argument(help="The master: audio or video; #a:1 behind it chooses an audio stream.")],
    dub: Annotated[str, typer.Argument(help="The dub to be judged against it.")],
    methods: Annotated[str, typer.Option(help="Comma-separated: mfcc, onset, spectral, ai.")] = "mfcc,onset,spectral",
    ai_model: Annotated[str, typer.Option(help="Model of the ai method.")] = "",
    per_channel: Annotated[bool, typer.Option(help="Also give the offset of each of the dub's channels.")] = False,
    depth: Annotated[
        Depth, typer.Option(help="quick: look at parts of long files only, for one offset; see the note in its answer.")
    ] = Depth.FULL,
    tolerance: Annotated[
        float | None, typer.Option(help="Seconds that count as in sync; default: one video frame.", min=0.0)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Tell by how much DUB is out of sync with MASTER, and what to do about it."""
    from sync_core.jobs.ports.analyzer import AnalysisRequest

    chosen = parse_methods(methods)
    model = parse_ai_model(ai_model) or (DEFAULT_AI_MODEL if Method.AI in chosen else None)
    request = AnalysisRequest(master, dub, chosen, model, per_channel, depth)
    if as_json:
        result = _run(request, tolerance, lambda _progress: None)
        sys.stdout.write(json.dumps(result_document(result), indent=2) + "\n")
    else:
        _run_and_show(request, tolerance)


def _run(request: AnalysisRequest, tolerance: float | None, on_progress: Callable[[Progress], None]) -> AnalysisResult:
    policy, locate = _reading(request)
    with _decoder_ahead(request) as decoder:
        from sync_core.pipeline.compare_files import compare_files

        return compare_files(
            request,
            policy=policy,
            tolerance_seconds=tolerance,
            ai=_ai_settings(request),
            on_progress=on_progress,
            locate=locate,
            decoder=decoder,
        )


def _decoder_ahead(request: AnalysisRequest) -> AbstractContextManager[DecoderProcess | None]:
    """Start the process for a large dub at once: it loads its libraries while this one does."""
    file = Path(parse_media_ref(request.dub_file).location)
    if request.depth is Depth.QUICK or not file.is_file() or file.stat().st_size < _LARGE_BYTES:
        return nullcontext()
    from sync_core.pipeline.decoder_process import DecoderProcess

    return DecoderProcess()


def _reading(request: AnalysisRequest) -> tuple[MediaPolicy, Locate]:
    """Say what may be read and how it is found; settings, half of the start-up time, tell of remote media only."""
    refs = [parse_media_ref(text) for text in (request.master_file, request.dub_file)]
    if all(ref.scheme is MediaScheme.FILE for ref in refs):
        from sync_core.media.locate import nowhere

        return MediaPolicy(unrestricted=True, relative_to=str(Path.cwd())), nowhere
    from handlers.cli.media_addresses import locating
    from handlers.settings import MediaSettings, read_settings

    policy = read_settings(MediaSettings).user_policy
    return policy, locating(policy)


def _ai_settings(request: AnalysisRequest) -> AiSettings:
    """Read the settings of the ai method; a GPU is looked for only if a model that could use it was asked for."""
    from sync_core.pipeline.ai_settings import ON_THE_CPU, AiSettings

    if Method.AI not in request.methods:
        return ON_THE_CPU
    from handlers.settings import AiModelSettings, read_settings

    settings = read_settings(AiModelSettings)
    heavy = request.ai_model is not AiModel.SPECTRAL
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
