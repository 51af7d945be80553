"""What can be run here. Light: a worker asks before any child process has loaded the analysis."""

from __future__ import annotations

from sync_core.domain.methods import DEFAULT_METHODS, AiModel, Method
from sync_core.jobs.ports.analyzer import Capabilities
from sync_core.pipeline.ai_settings import AiSettings, unavailable_models


def capabilities(ai: AiSettings) -> Capabilities:
    """List the methods and models that run here, and why the others do not.

    Reads the files of the models that are installed, to compare them with their hashes: ask once.
    """
    absent = unavailable_models(ai)
    reasons = {f"ai:{model.value}": reason for model, reason in absent.items()}
    if ai.device_reason:
        reasons["gpu"] = ai.device_reason
    return Capabilities(
        device=ai.device,
        methods=(*DEFAULT_METHODS, Method.AI),
        ai_models=tuple(model.value for model in AiModel if model not in absent),
        unavailable=reasons,
    )
