"""Turning what model publishers offer into what is installed here: safetensors, checked by opening them once."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Final

from sync_core.domain.methods import AiModel
from sync_core.models.directory import Manifest, ModelDirectory
from sync_core.models.errors import ModelUnusable

UNKNOWN_LICENCE: Final = "unknown"

_SETTINGS: Final = ("config.json", "preprocessor_config.json")
_PICKLED: Final = "pytorch_model.bin"


def convert(
    model: AiModel, given: Path, directory: ModelDirectory, *, source: str | None = None, licence: str = UNKNOWN_LICENCE
) -> Manifest:
    """Install a model from files that are already on this machine.

    Parameters
    ----------
    given
        For yamnet its Keras weight file; for wav2vec2 a checkpoint folder with config.json and either safetensors or
        pytorch_model.bin.
    source
        Where the files came from, for the manifest; None: their path.

    Raises
    ------
    ModelUnusable
        If the files are absent, damaged or another model's; what was installed before stays.
    """
    source = source or str(given)
    if not given.exists():
        raise ModelUnusable(f"{given} does not exist")
    if model is AiModel.YAMNET:
        return _convert_yamnet(given, directory, source, licence)
    if model is AiModel.WAV2VEC2:
        return _convert_checkpoint(given, directory, source, licence)
    raise ModelUnusable(f"{model} needs no files: it is always installed")


def _convert_yamnet(given: Path, directory: ModelDirectory, source: str, licence: str) -> Manifest:
    from sync_core.models import yamnet, yamnet_weights  # brings torch

    return directory.install(
        AiModel.YAMNET,
        architecture="yamnet",
        source=source,
        licence=licence,
        fill=lambda folder: yamnet_weights.convert(given, folder / yamnet.WEIGHTS_NAME),
    )


def _convert_checkpoint(given: Path, directory: ModelDirectory, source: str, licence: str) -> Manifest:
    from sync_core.models.wav2vec2 import Wav2Vec2Embedder  # brings torch and transformers

    def fill(folder: Path) -> None:
        _copy_checkpoint(given, folder)
        Wav2Vec2Embedder.open(folder)

    return directory.install(
        AiModel.WAV2VEC2, architecture=_architecture(given), source=source, licence=licence, fill=fill
    )


def _architecture(given: Path) -> str:
    try:
        return str(json.loads((given / "config.json").read_text("utf-8"))["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelUnusable(f"{given} has no config.json that names a model") from error


def _copy_checkpoint(given: Path, folder: Path) -> None:
    weights = [*given.glob("*.safetensors"), *given.glob("*.safetensors.index.json")]
    for path in (*(given / name for name in _SETTINGS), *weights):
        if path.exists():
            shutil.copyfile(path, folder / path.name)
    if not weights:
        _rewrite_pickled(given / _PICKLED, folder / "model.safetensors")


def _rewrite_pickled(given: Path, weights: Path) -> None:
    """Load with `weights_only`, which runs no code that a pickle may hold."""
    import torch
    from safetensors.torch import save_file

    try:
        tensors = torch.load(given, map_location="cpu", weights_only=True)
        save_file({name: one.clone() for name, one in tensors.items()}, weights, metadata={"format": "pt"})
    except (OSError, RuntimeError, ValueError, AttributeError, EOFError, pickle.UnpicklingError) as error:
        raise ModelUnusable(f"{given} cannot be read as weights") from error
