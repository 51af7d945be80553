"""What can be run here. Light: a worker asks before any child process has loaded the analysis."""

from __future__ import annotations

from sync_core.domain.methods import DEFAULT_METHODS, AiModel, Method
from sync_core.jobs.ports.analyzer import Capabilities

NO_AI_MODELS = "no AI models are installed in this version"
DEVICE = "cpu"


def capabilities() -> Capabilities:
    """List the methods that run here, and why the others do not."""
    return Capabilities(
        device=DEVICE,
        methods=DEFAULT_METHODS,
        ai_models=(),
        unavailable=dict.fromkeys((Method.AI.value, *(f"ai:{model.value}" for model in AiModel)), NO_AI_MODELS),
    )
