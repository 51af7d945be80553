"""Where model files are kept, and whether they are what they say.

One folder per model, `<root>/<model>/`, with a `manifest.json` that names each file with its size and hash, where it
came from and under which licence. Nothing here touches the network or loads a model, so that anybody may ask.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from sync_core.domain.methods import AiModel, Method, label
from sync_core.models.errors import ModelUnusable

MANIFEST_NAME: Final = "manifest.json"
ARCHITECTURES: Final[Mapping[AiModel, tuple[str, ...]]] = {
    AiModel.WAV2VEC2: ("wav2vec2", "hubert", "wavlm"),
    AiModel.YAMNET: ("yamnet",),
}
"""What may be installed under each name. `spectral` needs no files."""
_NEEDED: Final[Mapping[AiModel, tuple[str, ...]]] = {
    AiModel.WAV2VEC2: ("config.json",),
    AiModel.YAMNET: ("model.safetensors",),
}


class ModelState(StrEnum):
    """Whether a model's files can be used."""

    READY = "ready"
    ABSENT = "absent"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """What a file must be."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is installed under a model's name, and where it came from."""

    model: AiModel
    architecture: str
    source: str
    licence: str
    files: Mapping[str, FileEntry]


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model's state; unless it is ready, `reason` is a sentence, and `command` installs it."""

    model: AiModel
    state: ModelState
    reason: str | None = None
    command: str | None = None
    manifest: Manifest | None = None


class ModelDirectory:
    """The models on this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, model: AiModel) -> Path:
        """Where a model's files lie, or would."""
        return self.root / model.value

    def statuses(self) -> tuple[ModelStatus, ...]:
        """Look at every model, hashes included; some 300 MB are read per second."""
        return tuple(self.status(model) for model in AiModel)

    def status(self, model: AiModel) -> ModelStatus:
        """Compare a model's files with its manifest."""
        if model not in ARCHITECTURES:
            return ModelStatus(model, ModelState.READY)
        if not self.folder(model).exists():
            return _unusable(model, ModelState.ABSENT, f"is not installed in {self.root}")
        try:
            manifest = self.manifest(model)
        except ModelUnusable as error:
            return _unusable(model, ModelState.DAMAGED, error.message)
        fault = _fault(self.folder(model), manifest)
        if fault:
            return _unusable(model, ModelState.DAMAGED, fault)
        return ModelStatus(model, ModelState.READY, manifest=manifest)

    def manifest(self, model: AiModel) -> Manifest:
        """Read a model's manifest.

        Raises
        ------
        ModelUnusable
            If there is none, it cannot be understood, or it is another model's.
        """
        manifest = _read_manifest(self.folder(model) / MANIFEST_NAME)
        if manifest.model is not model or manifest.architecture not in ARCHITECTURES[model]:
            raise ModelUnusable(
                f"is a {manifest.architecture} model for {manifest.model}, which is not what its name says"
            )
        absent = [name for name in _NEEDED[model] if name not in manifest.files]
        if absent or not any(name.endswith(".safetensors") for name in manifest.files):
            raise ModelUnusable(f"lists no {(absent or ['weights'])[0]} in its manifest")
        return manifest

    def install(
        self, model: AiModel, *, architecture: str, source: str, licence: str, fill: Callable[[Path], None]
    ) -> Manifest:
        """Put a model in place of whatever is there, once it is complete.

        Parameters
        ----------
        fill
            Writes the model's files into the folder that it is given. What it raises passes through, and then nothing
            has changed.
        """
        staging = self.root / f".{model.value}-{os.getpid()}"
        staging.mkdir(parents=True)
        try:
            fill(staging)
            files = {path.name: _entry(path) for path in sorted(staging.iterdir())}
            manifest = Manifest(model, architecture, source, licence, files)
            (staging / MANIFEST_NAME).write_text(json.dumps(asdict(manifest), indent=2) + "\n", "utf-8")
            _replace(self.folder(model), staging)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return manifest


def install_command(model: AiModel) -> str:
    """Command that installs a model where the network can be reached."""
    return f"sync-analyzer models pull {model}"


def _unusable(model: AiModel, state: ModelState, fault: str) -> ModelStatus:
    command = install_command(model)
    reason = f"{label(Method.AI, model)} {fault}; install it with `{command}`."
    return ModelStatus(model, state, reason, command)


def _read_manifest(path: Path) -> Manifest:
    try:
        document = json.loads(path.read_text("utf-8"))
        files = {str(name): FileEntry(int(one["bytes"]), str(one["sha256"])) for name, one in document["files"].items()}
        return Manifest(
            AiModel(document["model"]),
            str(document["architecture"]),
            str(document["source"]),
            str(document["licence"]),
            files,
        )
    except FileNotFoundError:
        raise ModelUnusable(f"has no {MANIFEST_NAME} in {path.parent}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnusable(f"has a {MANIFEST_NAME} that cannot be read in {path.parent}") from error


def _fault(folder: Path, manifest: Manifest) -> str | None:
    """Say what is wrong with the first file that is not as its manifest says."""
    for name, known in manifest.files.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            return f"lacks its file {path}"
        size = path.stat().st_size
        if size != known.bytes:
            return f"is damaged: {path} has {size:,} bytes instead of {known.bytes:,}"
        if _sha256(path) != known.sha256:
            return f"is damaged: {path} is not the file that was installed (its hash differs)"
    return None


def _entry(path: Path) -> FileEntry:
    return FileEntry(path.stat().st_size, _sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _replace(folder: Path, staging: Path) -> None:
    """Swap folders; a process that has the old files open keeps them."""
    old = staging.with_name(staging.name + "-old")
    if folder.exists():
        folder.rename(old)
    staging.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
