"""Downloading models: the only code that reaches for the network on their behalf, and only when told to."""

from __future__ import annotations

import shutil
import tempfile
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sync_core.domain.errors import ServiceUnreachable
from sync_core.domain.methods import AiModel
from sync_core.models.convert import UNKNOWN_LICENCE, convert
from sync_core.models.directory import Manifest, ModelDirectory
from sync_core.models.errors import ModelUnusable

_TIMEOUT_SECONDS: Final = 60.0
_SAFE_FILES: Final = ("config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json")
_PICKLED_FILES: Final = ("config.json", "preprocessor_config.json", "pytorch_model.bin")


@dataclass(frozen=True, slots=True)
class Offer:
    """Where a model can be had.

    `location` is an address, or the id of a repository on the model hub.
    """

    location: str
    licence: str
    size: str

    @property
    def on_hub(self) -> bool:
        return "://" not in self.location


OFFERS: Final[Mapping[AiModel, Offer]] = {
    AiModel.WAV2VEC2: Offer("facebook/wav2vec2-base-960h", "Apache-2.0", "378 MB"),
    AiModel.YAMNET: Offer("https://storage.googleapis.com/audioset/yamnet.h5", "Apache-2.0", "15 MB"),
}


def offer_for(model: AiModel, source: str | None = None) -> Offer:
    """Find where a model is pulled from; a source of the caller's own has a licence and a size of its own.

    Raises
    ------
    ModelUnusable
        If the model needs no files.
    """
    if model not in OFFERS:
        raise ModelUnusable(f"{model} needs no files: it is always installed")
    known = OFFERS[model]
    return known if source in (None, known.location) else Offer(str(source), UNKNOWN_LICENCE, "of unknown size")


def pull(model: AiModel, directory: ModelDirectory, *, source: str | None = None) -> Manifest:
    """Download a model, convert and install it.

    Raises
    ------
    ServiceUnreachable
        If it cannot be downloaded; nothing has changed then.
    ModelUnusable
        If what was downloaded is not the model.
    """
    offer = offer_for(model, source)
    fetch = _fetch_repository if offer.on_hub else _fetch_file
    with tempfile.TemporaryDirectory(prefix="sync-model-") as folder:
        given = _reached(offer, model, lambda: fetch(offer.location, Path(folder)))
        return convert(model, given, directory, source=offer.location, licence=offer.licence)


def _reached(offer: Offer, model: AiModel, fetch: Callable[[], Path]) -> Path:
    try:
        return fetch()
    except Exception as error:  # each transport has its own errors for the same trouble
        what = str(error).strip().partition("\n")[0]
        raise ServiceUnreachable(
            f"{offer.location} could not be downloaded ({type(error).__name__}: {what}); fetch it where the "
            f"network can be reached, and run `sync-analyzer models convert {model} FILES` here"
        ) from error


def _fetch_file(address: str, folder: Path) -> Path:
    if not address.startswith("https://"):
        raise ValueError("only https addresses are fetched")
    path = folder / Path(address).name
    with urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS) as answer, path.open("wb") as file:  # noqa: S310
        shutil.copyfileobj(answer, file)
    return path


def _fetch_repository(repository: str, folder: Path) -> Path:
    """Fetch safetensors if there are any, else the pickled weights, which are converted."""
    from huggingface_hub import snapshot_download

    snapshot_download(repository, local_dir=folder, allow_patterns=list(_SAFE_FILES))
    if not list(folder.glob("*.safetensors")):
        snapshot_download(repository, local_dir=folder, allow_patterns=list(_PICKLED_FILES))
    return folder
