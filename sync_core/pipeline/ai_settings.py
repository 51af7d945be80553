"""What the ai method may use. Light: a worker asks which models can run before any child has loaded one.

What looks for models and GPUs is imported where it is asked: those who use neither need not wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sync_core.domain.methods import AiModel


@dataclass(frozen=True, slots=True)
class AiSettings:
    """Where models are, and what they may use.

    Attributes
    ----------
    model_dir
        Folder of the model directory.
    device
        `auto`, `cpu`, `cuda`, or a GPU such as `cuda:0`.
    device_reason
        Why not the GPU, where one was to be expected.
    budget_seconds
        Time that embedding one pair may take on a CPU; the `spectral` model, which takes next to none, is not limited.
    hidden_layer
        Of wav2vec2 models; None: the default.
    cpu_threads
        Threads that a model may use in one process.
    server
        Socket of a process that runs the models but `spectral`; None: they run in the process that embeds.
    """

    model_dir: Path = Path(".sync-analyzer/models")
    device: str = "cpu"
    device_reason: str | None = None
    budget_seconds: float = 60.0
    hidden_layer: int | None = None
    cpu_threads: int = 1
    server: Path | None = None

    def resolved(self) -> AiSettings:
        """Replace `auto` (or `cuda`) by the device that is there. Takes seconds where there is a GPU: ask once."""
        if self.device not in ("auto", "cuda"):
            return self
        from sync_core.models.device import find_device

        found = find_device("cuda" if self.device == "cuda" else "auto")
        return replace(self, device=found.name, device_reason=found.reason)


ON_THE_CPU: Final = AiSettings()
"""What goes without settings: models in the working directory, no GPU."""


def unavailable_models(settings: AiSettings) -> dict[AiModel, str]:
    """Say for each model that cannot run why not, and how to install it. Reads the models' files, loads none."""
    from sync_core.models.device import unusable_models
    from sync_core.models.directory import ModelDirectory

    return unusable_models(ModelDirectory(settings.model_dir))


def why_unavailable(settings: AiSettings, model: AiModel) -> str | None:
    """Say why one model cannot run; None if it can."""
    from sync_core.models.device import why_unusable
    from sync_core.models.directory import ModelDirectory

    return why_unusable(ModelDirectory(settings.model_dir), model)
