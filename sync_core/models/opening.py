"""Opening a model by name. Torch and transformers are imported here, with the model that needs them, and not before."""

from __future__ import annotations

from sync_core.domain.methods import AiModel
from sync_core.models.device import CPU
from sync_core.models.directory import ModelDirectory
from sync_core.models.embedder import Embedder, PieceEmbedder
from sync_core.models.errors import ModelUnusable
from sync_core.models.spectral import SpectralEmbedder


def open_embedder(
    model: AiModel,
    directory: ModelDirectory,
    *,
    device: str = CPU,
    hidden_layer: int | None = None,
    cpu_threads: int = 1,
) -> Embedder:
    """Load a model, as `open_network` does, or `spectral`, which needs no files and always runs on the CPU."""
    if model is AiModel.SPECTRAL:
        return SpectralEmbedder()
    return open_network(model, directory, device=device, hidden_layer=hidden_layer, cpu_threads=cpu_threads)


def open_network(
    model: AiModel,
    directory: ModelDirectory,
    *,
    device: str = CPU,
    hidden_layer: int | None = None,
    cpu_threads: int = 1,
) -> PieceEmbedder:
    """Load a model's weights onto a device.

    Parameters
    ----------
    model
        Any but `spectral`, which has none.
    device
        `cpu` or a GPU such as `cuda:0`.
    hidden_layer
        For wav2vec2: which layer's output is taken; None: the default of `sync_core.models.wav2vec2`.
    cpu_threads
        Threads that torch may use in this process.

    Raises
    ------
    ModelUnusable
        If its files are absent or damaged; the message has the command that installs them. Never opens another model
        in its place.
    DeviceFull, DeviceBroken
        If the weights don't fit into the device's memory; if the device failed for good.
    """
    status = directory.status(model)
    if status.reason:
        raise ModelUnusable(status.reason)
    _limit_threads(cpu_threads)
    folder = directory.folder(model)
    if model is AiModel.YAMNET:
        from sync_core.models.yamnet import YamnetEmbedder

        return YamnetEmbedder.open(folder, device=device)
    from sync_core.models.wav2vec2 import DEFAULT_HIDDEN_LAYER, Wav2Vec2Embedder

    return Wav2Vec2Embedder.open(folder, device=device, hidden_layer=hidden_layer or DEFAULT_HIDDEN_LAYER)


def _limit_threads(cpu_threads: int) -> None:
    import torch

    torch.set_num_threads(cpu_threads)
