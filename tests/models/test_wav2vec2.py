"""The wav2vec2 family: geometry, chunks, precision, and checkpoints that must be refused.

All checkpoints are tiny and random (`tiny.py`): this tests plumbing and geometry, and says nothing about accuracy.
"""

from __future__ import annotations

import json
import shutil
import socket

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from sync_core.models.errors import ModelUnusable
from sync_core.models.wav2vec2 import Wav2Vec2Embedder
from tests.analysis.signals import programme
from tests.models.tiny import DIMS, LAYERS, write_checkpoint

SOUND = programme(12.0, seed=41)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("wav2vec2"))


@pytest.fixture(scope="module")
def embedder(checkpoint):
    return Wav2Vec2Embedder.open(checkpoint)


@pytest.fixture
def damaged(checkpoint, tmp_path):
    return shutil.copytree(checkpoint, tmp_path / "copy")


def rewrite(folder, change):
    """Change the tensors of a checkpoint."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("samples", [0, 399, 400, 719, 720, 16_000])
def test_hops_are_those_that_lie_wholly_inside(embedder, samples):
    assert embedder.embed(SOUND[:samples]).shape == (embedder.geometry.hops(samples), DIMS)


def test_geometry_is_the_published_one(embedder):
    assert embedder.geometry.hop_seconds == 0.02
    assert [embedder.geometry.centre_sample(hop) for hop in (0, 1, 10)] == [199.5, 519.5, 3_399.5]


def test_a_front_end_hop_sees_400_samples_around_its_centre(embedder):
    samples = torch.from_numpy(SOUND[None, :16_000].copy()).requires_grad_()
    hop = 20
    first, *others = embedder._encoder.feature_extractor.conv_layers
    hidden = first.conv(samples[:, None])  # without its normalisation, which spans the whole piece
    for layer in others:
        hidden = layer(hidden)
    hidden[0, :, hop].square().sum().backward()
    seen = samples.grad[0].nonzero()
    assert (seen.min() + seen.max()) / 2 == pytest.approx(embedder.geometry.centre_sample(hop), abs=1)
    assert seen.max() - seen.min() + 1 == embedder.geometry.window_samples


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm"])
def test_the_whole_family_is_read(kind, tmp_path):
    model = Wav2Vec2Embedder.open(write_checkpoint(tmp_path, kind))
    embedding = model.embed(SOUND)
    assert np.isfinite(embedding).all()
    assert embedding.std(axis=0).min() > 0


def test_large_models_with_layer_norm_are_read(tmp_path):
    folder = write_checkpoint(tmp_path, feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True)
    assert Wav2Vec2Embedder.open(folder).embed(SOUND).shape[1] == DIMS


def test_the_hidden_layer_is_the_one_that_was_asked_for(checkpoint):
    whole = transformers.Wav2Vec2Model.from_pretrained(checkpoint).eval()
    sound = SOUND[: 400 + 320 * 500]
    centred = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
    with torch.inference_mode():
        states = whole(torch.from_numpy(centred[None]), output_hidden_states=True).hidden_states
    for layer in range(1, LAYERS + 1):
        embedding = Wav2Vec2Embedder.open(checkpoint, hidden_layer=layer).embed(sound)
        np.testing.assert_allclose(embedding, states[layer][0].numpy(), atol=2e-5)


def test_layers_that_do_not_exist_are_refused(checkpoint):
    for layer in (0, LAYERS + 1, -1):
        with pytest.raises(ModelUnusable, match=f"{LAYERS} layers"):
            Wav2Vec2Embedder.open(checkpoint, hidden_layer=layer)


@pytest.mark.parametrize(("front_end", "stray_at_most"), [("group", 0.12), ("layer", 0.03)])
def test_chunks_differ_little_from_the_whole(tmp_path, monkeypatch, front_end, stray_at_most):
    """Measured on 60 s: chunks of 4, 10, 20 s stray by 9, 6, 3 % of the spread (group), 1.6, 1.0, 0.3 % (layer).

    "group" models (the base size) normalise the first convolution over the whole chunk.
    """
    large = {"do_stable_layer_norm": True, "conv_bias": True} if front_end == "layer" else {}
    embedder = Wav2Vec2Embedder.open(write_checkpoint(tmp_path, feat_extract_norm=front_end, **large))
    whole = embedder.embed(SOUND)
    monkeypatch.setattr(embedder, "chunk_hops", 200)
    chunked = embedder.embed(SOUND)
    assert 0 < np.abs(chunked - whole).mean() < stray_at_most * np.abs(whole - whole.mean(axis=0)).mean()
    alike = [np.corrcoef(one, other)[0, 1] for one, other in zip(chunked.T, whole.T, strict=True)]
    assert min(alike) > 0.98


def test_progress_is_told_and_raising_stops(embedder, monkeypatch):
    monkeypatch.setattr(embedder, "chunk_hops", 100)
    seen: list[float] = []
    embedder.embed(SOUND, on_progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) >= 3

    def stop(fraction):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embedder.embed(SOUND, on_progress=stop)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_near_single(checkpoint, embedder, precision):
    whole = embedder.embed(SOUND[:64_000])
    half = Wav2Vec2Embedder.open(checkpoint, precision=precision).embed(SOUND[:64_000])
    assert np.abs(half - whole).mean() < 0.05 * np.abs(whole).mean()


@pytest.mark.parametrize("gain", [0.01, 3.0])
def test_gain_changes_nothing(embedder, gain):
    np.testing.assert_allclose(embedder.embed(np.float32(gain) * SOUND), embedder.embed(SOUND), atol=0.02)


def test_silence_is_no_error(embedder):
    assert np.isfinite(embedder.embed(np.zeros(16_000, np.float32))).all()


def test_loading_needs_no_network(checkpoint, monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    Wav2Vec2Embedder.open(checkpoint)


def test_a_head_is_not_missed(tmp_path):
    folder = write_checkpoint(tmp_path, model=transformers.Wav2Vec2ForCTC, vocab_size=32)
    assert Wav2Vec2Embedder.open(folder).embed(SOUND).shape[1] == DIMS


def test_an_absent_masking_vector_is_not_missed(damaged):
    rewrite(damaged, lambda tensors: tensors.pop("masked_spec_embed"))
    Wav2Vec2Embedder.open(damaged)


def test_layers_above_the_one_asked_for_are_not_missed(damaged):
    def cut(tensors):
        for name in [name for name in tensors if name.startswith(f"encoder.layers.{LAYERS - 1}.")]:
            del tensors[name]

    rewrite(damaged, cut)
    Wav2Vec2Embedder.open(damaged, hidden_layer=LAYERS - 1)
    with pytest.raises(ModelUnusable, match=rf"lacks encoder\.layers\.{LAYERS - 1}\..* and \d+ more tensors"):
        Wav2Vec2Embedder.open(damaged)


def test_a_missing_tensor_is_refused(damaged):
    rewrite(damaged, lambda tensors: tensors.pop("encoder.layers.1.attention.k_proj.weight"))
    with pytest.raises(ModelUnusable, match=r"lacks encoder\.layers\.1\.attention\.k_proj\.weight$"):
        Wav2Vec2Embedder.open(damaged)


def test_a_tensor_of_another_shape_is_refused(damaged):
    def widen(tensors):
        tensors["feature_projection.projection.weight"] = torch.zeros(DIMS, 17)

    rewrite(damaged, widen)
    with pytest.raises(ModelUnusable):
        Wav2Vec2Embedder.open(damaged)


def test_a_folder_without_config_is_refused(damaged):
    (damaged / "config.json").unlink()
    with pytest.raises(ModelUnusable, match=r"no config\.json"):
        Wav2Vec2Embedder.open(damaged)


def test_another_architecture_is_refused(damaged):
    (damaged / "config.json").write_text(json.dumps({"model_type": "whisper", "num_hidden_layers": 4}))
    with pytest.raises(ModelUnusable, match="holds a whisper model"):
        Wav2Vec2Embedder.open(damaged)


def test_a_truncated_weight_file_is_refused(damaged):
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1_000])
    with pytest.raises(ModelUnusable, match="cannot be loaded"):
        Wav2Vec2Embedder.open(damaged)


def test_weights_that_could_run_code_are_not_loaded(damaged):
    tensors = load_file(damaged / "model.safetensors")
    (damaged / "model.safetensors").unlink()
    torch.save(tensors, damaged / "pytorch_model.bin")
    with pytest.raises(ModelUnusable, match="cannot be loaded"):
        Wav2Vec2Embedder.open(damaged)
