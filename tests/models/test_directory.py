"""The model directory: what is absent, damaged or ready, and how models get there."""

from __future__ import annotations

import json
import re
import shutil
import sys
import urllib.error
from pathlib import Path

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from handlers.cli import models as cli
from sync_core.domain.errors import MethodUnavailable, ServiceUnreachable
from sync_core.domain.methods import AiModel
from sync_core.models import convert as converting
from sync_core.models import pull as pulling
from sync_core.models.directory import MANIFEST_NAME, ModelDirectory, ModelState
from sync_core.models.errors import ModelUnusable
from sync_core.models.wav2vec2 import Wav2Vec2Embedder
from sync_core.models.yamnet import YamnetEmbedder
from tests.models.tiny import write_checkpoint

KERAS_FILE = Path(__file__).parent / "data" / "keras2.h5"
WAV2VEC2, YAMNET, SPECTRAL = AiModel.WAV2VEC2, AiModel.YAMNET, AiModel.SPECTRAL


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def directory(tmp_path, checkpoint):
    made = ModelDirectory(tmp_path / "models")
    converting.convert(YAMNET, KERAS_FILE, made, source="https://example.org/yamnet.h5", licence="Apache-2.0")
    converting.convert(WAV2VEC2, checkpoint, made)
    return made


def test_an_empty_directory_has_spectral_alone(tmp_path):
    statuses = {status.model: status for status in ModelDirectory(tmp_path / "none").statuses()}
    assert {model: status.state for model, status in statuses.items()} == {
        WAV2VEC2: ModelState.ABSENT,
        YAMNET: ModelState.ABSENT,
        SPECTRAL: ModelState.READY,
    }
    assert statuses[WAV2VEC2].command == "sync-analyzer models pull wav2vec2"
    assert statuses[WAV2VEC2].command in statuses[WAV2VEC2].reason


def test_converted_models_are_ready_and_open(directory):
    assert [status.state for status in directory.statuses()] == [ModelState.READY] * 3
    manifest = directory.manifest(YAMNET)
    assert (manifest.source, manifest.licence) == ("https://example.org/yamnet.h5", "Apache-2.0")
    YamnetEmbedder.open(directory.folder(YAMNET))
    Wav2Vec2Embedder.open(directory.folder(WAV2VEC2))
    assert not list(directory.root.glob(".*"))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / MANIFEST_NAME).unlink(), r"has no manifest\.json"),
        (lambda folder: (folder / MANIFEST_NAME).write_text("{"), "cannot be read"),
        (lambda folder: (folder / MANIFEST_NAME).write_text('{"files": []}'), "cannot be read"),
        (lambda folder: (folder / "config.json").unlink(), r"lacks its file .*config\.json"),
        (lambda folder: cut(folder / "model.safetensors"), r"model\.safetensors has [\d,]+ bytes instead of [\d,]+"),
        (lambda folder: flip(folder / "model.safetensors"), "its hash differs"),
        (lambda folder: edit(folder, lambda document: document.update(model="yamnet")), "not what its name says"),
        (lambda folder: edit(folder, lambda document: document.update(architecture="whisper")), "is a whisper model"),
        (lambda folder: edit(folder, lambda document: document["files"].pop("config.json")), r"lists no config\.json"),
        (lambda folder: edit(folder, lambda document: document["files"].pop("model.safetensors")), "lists no weights"),
    ],
)
def test_a_damaged_model_is_named_and_the_others_stay(directory, spoil, reason):
    spoil(directory.folder(WAV2VEC2))
    status = directory.status(WAV2VEC2)
    assert status.state is ModelState.DAMAGED
    assert re.search(reason, status.reason)
    assert status.reason.startswith("AI (Wav2Vec2) ")
    assert status.reason.endswith("install it with `sync-analyzer models pull wav2vec2`.")
    assert directory.status(YAMNET).state is ModelState.READY


def cut(path):
    path.write_bytes(path.read_bytes()[:-10])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def edit(folder, change):
    document = json.loads((folder / MANIFEST_NAME).read_text())
    change(document)
    (folder / MANIFEST_NAME).write_text(json.dumps(document))


def test_a_manifest_cannot_point_outside_its_folder(directory):
    folder = directory.folder(YAMNET)
    outside = folder.parent / "outside.safetensors"
    shutil.copy(folder / "model.safetensors", outside)
    edit(folder, lambda document: document["files"].update({"../outside.safetensors": document["files"].popitem()[1]}))
    assert directory.status(YAMNET).state is ModelState.DAMAGED


def test_one_model_under_the_name_of_another_is_not_used(directory):
    shutil.rmtree(directory.folder(YAMNET))
    shutil.copytree(directory.folder(WAV2VEC2), directory.folder(YAMNET))
    assert "not what its name says" in directory.status(YAMNET).reason


@pytest.mark.parametrize("given", ["absent.h5", "text.h5"])
def test_a_failed_conversion_changes_nothing(directory, tmp_path, given):
    (tmp_path / "text.h5").write_text("not HDF5")
    before = directory.manifest(YAMNET)
    with pytest.raises(ModelUnusable, match=given):
        converting.convert(YAMNET, tmp_path / given, directory)
    assert directory.manifest(YAMNET) == before
    assert directory.status(YAMNET).state is ModelState.READY
    assert not list(directory.root.glob(".*"))


def test_another_architecture_is_not_converted(tmp_path, checkpoint):
    other = shutil.copytree(checkpoint, tmp_path / "other")
    (other / "config.json").write_text(json.dumps({"model_type": "bert", "num_hidden_layers": 2}))
    with pytest.raises(ModelUnusable, match="holds a bert model"):
        converting.convert(WAV2VEC2, other, ModelDirectory(tmp_path / "models"))


def test_pickled_weights_are_converted_without_running_code(tmp_path, checkpoint):
    pickled = shutil.copytree(checkpoint, tmp_path / "pickled")
    tensors = load_file(pickled / "model.safetensors")
    (pickled / "model.safetensors").unlink()
    torch.save(tensors, pickled / "pytorch_model.bin")
    directory = ModelDirectory(tmp_path / "models")
    assert set(converting.convert(WAV2VEC2, pickled, directory).files) >= {"config.json", "model.safetensors"}

    class Harmful:
        def __reduce__(self):
            return sys.exit, (3,)

    torch.save({"weight": Harmful()}, pickled / "pytorch_model.bin")
    with pytest.raises(ModelUnusable, match="cannot be read as weights"):
        converting.convert(WAV2VEC2, pickled, directory)


def test_spectral_cannot_be_pulled_or_converted(tmp_path):
    for call in (pulling.pull, lambda model, directory: converting.convert(model, tmp_path, directory)):
        with pytest.raises(ModelUnusable, match="always installed"):
            call(SPECTRAL, ModelDirectory(tmp_path))


def test_unusable_models_are_unavailable_methods():
    assert issubclass(ModelUnusable, MethodUnavailable)


def run(directory, *arguments):
    return CliRunner().invoke(cli.app, [*arguments, "--model-dir", str(directory.root)])


@pytest.fixture
def hub(monkeypatch, checkpoint):
    """A model hub that holds one checkpoint, and fails for all others."""
    asked: list[str] = []

    def snapshot_download(repository, *, local_dir, allow_patterns):
        asked.append(repository)
        if repository != "facebook/wav2vec2-base-960h":
            raise OSError(f"{repository} is not on the hub\nand more")
        shutil.copytree(checkpoint, local_dir, dirs_exist_ok=True)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


def test_pull_names_what_it_downloads_and_installs_it(tmp_path, hub):
    directory = ModelDirectory(tmp_path / "models")
    result = run(directory, "pull", "wav2vec2")
    assert result.exit_code == 0
    assert "downloading facebook/wav2vec2-base-960h (378 MB, licence Apache-2.0)" in result.stdout
    assert directory.status(WAV2VEC2).state is ModelState.READY
    assert directory.manifest(WAV2VEC2).source == "facebook/wav2vec2-base-960h"


def test_pull_without_network_says_so_and_changes_nothing(tmp_path, hub, monkeypatch):
    def refuse(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(pulling.urllib.request, "urlopen", refuse)
    directory = ModelDirectory(tmp_path / "models")
    with pytest.raises(ServiceUnreachable, match=r"yamnet\.h5 could not be downloaded .*no route to host"):
        pulling.pull(YAMNET, directory)
    with pytest.raises(ServiceUnreachable, match="models convert wav2vec2") as raised:
        pulling.pull(WAV2VEC2, directory, source="someone/else")
    assert "and more" not in raised.value.message
    assert directory.status(YAMNET).state is ModelState.ABSENT


def test_pull_refuses_addresses_that_are_not_encrypted(tmp_path):
    with pytest.raises(ServiceUnreachable, match="only https"):
        pulling.pull(YAMNET, ModelDirectory(tmp_path), source="http://example.org/yamnet.h5")


def test_nothing_but_pull_asks_the_hub(directory, hub):
    assert run(directory, "list").exit_code == 0
    assert run(directory, "verify").exit_code == 0
    assert run(directory, "convert", "yamnet", str(KERAS_FILE)).exit_code == 0
    assert hub == []


def test_verify_fails_on_damage(directory):
    assert "AI (YAMNet) is ready." in run(directory, "verify").stdout
    flip(directory.folder(YAMNET) / "model.safetensors")
    result = run(directory, "verify")
    assert result.exit_code == 1
    assert "its hash differs" in result.stdout
    assert run(directory, "verify", "wav2vec2").exit_code == 0


def test_list_shows_source_and_licence(directory):
    shown = run(directory, "list").stdout
    assert "Apache" in shown
    assert "ready" in shown
