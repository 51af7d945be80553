"""How fast wav2vec2 runs on a GPU, and what keeps it from being faster. Run by name, where there is a GPU."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import transformers
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from sync_core.models.batching import DynamicBatcher
from sync_core.models.embedder import SAMPLE_RATE_HZ, Chunk, chunks
from sync_core.models.wav2vec2 import Wav2Vec2Embedder
from tests.bench.report import Figure, Section, at_least, at_most

LAYERS = 12
SECONDS = 3_600
CLIENTS = 4
REPEATS = 5
MATRIX = 8_192
TARGET = 1_500
STRAY_AT_MOST = 0.02


def measure() -> Section:
    """Embed an hour of noise on the first GPU."""
    if not torch.cuda.is_available():
        raise SystemExit("make bench ARGS=gpu needs a GPU that PyTorch can use; there is none on this machine")
    return measure_on("cuda:0", seconds=SECONDS, matrix=MATRIX)


def measure_on(device: str, *, seconds: int, matrix: int) -> Section:
    """Embed so many seconds of noise on a device, alone and from several threads; compare with one large product."""
    torch.manual_seed(1)
    net = transformers.Wav2Vec2Model._from_config(
        transformers.Wav2Vec2Config(num_hidden_layers=LAYERS), attn_implementation="sdpa"
    )
    sound = 0.1 * np.random.default_rng(0).standard_normal(seconds * SAMPLE_RATE_HZ).astype(np.float32)
    brief = sound[: 20 * SAMPLE_RATE_HZ]
    operations = _operations(net, brief) * seconds / 20
    on_cpu = Wav2Vec2Embedder(net).embed(brief)
    embedder = Wav2Vec2Embedder(net, device=device)
    stray = np.abs(embedder.embed(brief) - on_cpu).mean() / np.abs(on_cpu - on_cpu.mean(axis=0)).mean()
    alone = min(_timed(lambda: embedder.embed(sound), device) for _ in range(REPEATS))
    shared = min(_timed(lambda: _from_threads(embedder, sound), device) for _ in range(REPEATS))
    limit = _matrix_limit(device, embedder.precision, matrix)
    return Section(
        f"wav2vec2 base on {_name(device)}",
        f"`make bench ARGS=gpu`. All {LAYERS} layers, random weights, {embedder.precision}, {seconds} s of noise, "
        f"best of {REPEATS}. The limit is that of one product of two matrices of {matrix} x {matrix}.",
        (
            at_least("one recording", seconds / alone, TARGET, "x real time"),
            at_least(f"{CLIENTS} recordings at once, in common batches", seconds / shared, TARGET, "x real time"),
            Figure("time in which the device computes", f"{_busy(embedder, sound, device):.0%}"),
            Figure(
                "arithmetic",
                f"{operations / alone / 1e12:.3g} TFLOP/s, {operations / alone / limit:.1%} of {limit / 1e12:.3g}",
            ),
            at_most("mean distance to the CPU's embedding, of its spread", float(stray), STRAY_AT_MOST, ""),
        ),
    )


def _from_threads(embedder: Wav2Vec2Embedder, sound: np.ndarray) -> None:
    batcher = DynamicBatcher(embedder, on_broken=lambda error: None)

    def embed(part: np.ndarray) -> None:
        sent = [batcher.submit(part[chunk.samples]) for chunk in _chunks(embedder, part)]
        for future in sent:
            future.result()

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(embed, np.array_split(sound, CLIENTS)))


def _chunks(embedder: Wav2Vec2Embedder, part: np.ndarray) -> list[Chunk]:
    return list(chunks(part.size, embedder.geometry, chunk_hops=embedder.chunk_hops))


def _timed(work, device: str) -> float:
    _wait(device)
    begun = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - begun


def _operations(net: transformers.Wav2Vec2Model, sound: np.ndarray) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net.eval()(torch.from_numpy(sound[None]))
    return counter.get_total_flops()


def _matrix_limit(device: str, precision: str, size: int) -> float:
    """Operations per second of one large product."""
    matrix = torch.randn(size, size, device=device, dtype=getattr(torch, precision))
    _timed(lambda: matrix @ matrix, device)
    return 2 * size**3 / min(_timed(lambda: matrix @ matrix, device) for _ in range(REPEATS))


def _busy(embedder: Wav2Vec2Embedder, sound: np.ndarray, device: str) -> float:
    """Share of the time in which kernels ran."""
    if device == "cpu":
        return 1.0
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        seconds = _timed(lambda: embedder.embed(sound), device)
    return sum(event.self_device_time_total for event in profiled.key_averages()) / 1e6 / seconds


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


def _name(device: str) -> str:
    return "the CPU" if device == "cpu" else torch.cuda.get_device_name(device)
