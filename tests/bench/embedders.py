"""How fast embedders run on this CPU, in seconds of sound per second. Random weights: speed needs no others."""

from __future__ import annotations

import os
import time

import numpy as np
import torch
import transformers

from sync_core.models.embedder import SAMPLE_RATE_HZ, Embedder
from sync_core.models.spectral import SpectralEmbedder
from sync_core.models.wav2vec2 import DEFAULT_HIDDEN_LAYER, Wav2Vec2Embedder
from sync_core.models.yamnet import YamnetEmbedder
from sync_core.models.yamnet_net import YamNet
from tests.bench.report import Figure, Section, at_least

REPEATS = 3


def measure() -> Section:
    """Embed noise with each model; the best of a few runs, for other processes only slow it down."""
    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(1)
    return Section(
        "embedders",
        f"`make bench ARGS=embedders`. Noise, random weights, {torch.get_num_threads()} threads, best of {REPEATS}; "
        "in brackets per second of CPU time.",
        (
            _figure("spectral", SpectralEmbedder(), 600, 500),
            _figure("YAMNet, a patch each 0.1 s", YamnetEmbedder(YamNet()), 60, 20),
            _figure(f"wav2vec2 base, {DEFAULT_HIDDEN_LAYER} of 12 layers", _wav2vec2(DEFAULT_HIDDEN_LAYER), 44, 1.8),
            _figure("wav2vec2 base, all 12 layers", _wav2vec2(12), 44, 1.8),
        ),
    )


def _wav2vec2(layers: int) -> Embedder:
    config = transformers.Wav2Vec2Config(num_hidden_layers=layers)
    return Wav2Vec2Embedder(transformers.Wav2Vec2Model._from_config(config, attn_implementation="sdpa"))


def _figure(what: str, embedder: Embedder, seconds: int, target: float) -> Figure:
    sound = 0.1 * np.random.default_rng(0).standard_normal(seconds * SAMPLE_RATE_HZ).astype(np.float32)
    embedder.embed(sound[: 5 * SAMPLE_RATE_HZ])
    wall, cpu = zip(*(_run(embedder, sound) for _ in range(REPEATS)), strict=True)
    return at_least(what, seconds / min(wall), target, "x real time", detail=f" ({seconds / min(cpu):.4g})")


def _run(embedder: Embedder, sound: np.ndarray) -> tuple[float, float]:
    begun, spent = time.perf_counter(), time.process_time()
    embedder.embed(sound)
    return time.perf_counter() - begun, time.process_time() - spent
