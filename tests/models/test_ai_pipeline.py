"""Embedding pairs within a budget, on devices that may fail. Torch models here are tiny and random."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sync_core.analysis import correlation
from sync_core.analysis.track import ANALYSIS_RATE_HZ
from sync_core.domain.methods import AiModel
from sync_core.models import convert as converting
from sync_core.models.directory import ModelDirectory
from sync_core.models.embedder import Geometry
from sync_core.models.errors import DeviceBroken, DeviceFull, ModelUnusable
from sync_core.models.spectral import SpectralEmbedder
from sync_core.pipeline import ai, ai_embedding
from sync_core.pipeline.ai import prepare
from sync_core.pipeline.ai_embedding import embed_pair, spread, window_order
from sync_core.pipeline.ai_settings import AiSettings, unavailable_models
from tests.analysis.signals import programme, shifted, track
from tests.models.tiny import write_checkpoint

LENGTH = 60 * ANALYSIS_RATE_HZ
MUSIC = programme(68.0, seed=51)
MASTER = track(MUSIC[:LENGTH])
DUB = track(np.float32(0.2) * shifted(MUSIC, 4.5, LENGTH))
MODELS = list(AiModel)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    directory = ModelDirectory(root / "installed")
    converting.convert(AiModel.YAMNET, Path(__file__).parent / "data" / "keras2.h5", directory)
    converting.convert(AiModel.WAV2VEC2, write_checkpoint(root / "checkpoint"), directory)
    return AiSettings(model_dir=directory.root)


def ignore(fraction):
    pass


def best(method, master=MASTER, dub=DUB):
    scores = correlation.score_lags(method.features(master), method.features(dub), on_dims=lambda count: None)
    return correlation.peaks(scores.plain, scores.first_lag, 1)[0]


@pytest.mark.parametrize("model", MODELS)  # 4.5 s are whole hops of each: narrow random networks need that
def test_every_model_finds_a_shift_whatever_the_gain(settings, model):
    prepared = prepare(settings, model, MASTER, DUB, ignore)
    peak = best(prepared.method)
    assert peak.lag_hops == pytest.approx(450, abs=5)
    assert "the whole of both files, on cpu" in prepared.notes[0]


@pytest.mark.parametrize("model", MODELS)
def test_a_file_against_itself_is_at_zero(settings, model):
    method = prepare(settings, model, MASTER, MASTER, ignore).method
    assert best(method, MASTER, MASTER).lag_hops == 0


@pytest.mark.parametrize("model", MODELS)
def test_swapping_negates(settings, model):
    one = best(prepare(settings, model, MASTER, DUB, ignore).method)
    other = best(prepare(settings, model, DUB, MASTER, ignore).method, DUB, MASTER)
    assert one.lag_hops == pytest.approx(-other.lag_hops, abs=1)


@pytest.mark.parametrize("model", MODELS)
def test_silence_has_no_features(settings, model):
    silent = track(np.zeros(LENGTH, np.float32))
    method = prepare(settings, model, MASTER, silent, ignore).method
    assert not method.features(silent).values.any()
    assert method.features(MASTER).values.any()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("samples", [0, 100, 3_000])
def test_next_to_nothing_is_no_error(settings, model, samples):
    short = track(MUSIC[:samples])
    method = prepare(settings, model, MASTER, short, ignore).method
    assert method.features(short).values.shape[1] == len(short.log_mel)


class Clock:
    """Time that passes while windows are embedded."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Slow(SpectralEmbedder):
    """Takes as long as the sound lasts."""

    def __init__(self, clock):
        self._clock = clock

    def embed(self, samples, *, on_progress=ignore):
        self._clock.now += samples.size / ANALYSIS_RATE_HZ
        return super().embed(samples, on_progress=on_progress)


def test_a_budget_is_kept_and_spent_where_candidates_are():
    clock = Clock()
    method, coverage = embed_pair(
        Slow(clock), MASTER, DUB, lags_seconds=[4.5], budget_seconds=45.0, on_progress=ignore, clock=clock
    )
    assert 45.0 <= clock.now < 45.0 + 2 * ai_embedding.WINDOW_SECONDS
    assert not coverage.whole
    assert 0 < coverage.dub_seconds < 30
    assert 0 < coverage.master_seconds < 40
    assert best(method).lag_hops == 450


def test_a_budget_that_lasts_covers_everything():
    clock = Clock()
    _, coverage = embed_pair(Slow(clock), MASTER, DUB, budget_seconds=1_000.0, on_progress=ignore, clock=clock)
    assert coverage.whole
    assert coverage.dub_seconds == pytest.approx(60.0, abs=0.1)


def test_an_exhausted_budget_still_looks_at_both_files():
    clock = Clock()
    _, coverage = embed_pair(Slow(clock), MASTER, DUB, budget_seconds=0.0, on_progress=ignore, clock=clock)
    assert coverage.dub_seconds > 0
    assert coverage.master_seconds > 0


def test_windows_and_whole_files_give_the_same_embedding(monkeypatch):
    whole, _ = embed_pair(SpectralEmbedder(), MASTER, DUB, on_progress=ignore)
    monkeypatch.setattr(ai_embedding, "SPAN_SECONDS", 20.0)
    pieces, _ = embed_pair(SpectralEmbedder(), MASTER, DUB, on_progress=ignore)
    assert np.mean(whole.features(DUB).values.astype(int) != pieces.features(DUB).values) < 0.02


def test_the_order_of_windows_covers_all_once_and_begins_evenly():
    class Canvas:
        def __init__(self, count):
            self.windows = [None] * count
            self.window_seconds = 10.0

    order = window_order(Canvas(20), Canvas(12), [35.0, -200.0])
    assert len(order) == len(set(order)) == 32
    dubs = [index for side, index in order if side == 1]
    assert sorted(dubs[:3]) == [0, 4, 8]
    assert order[1:3] == [(0, 3), (0, 4)]


def test_spread_is_a_permutation():
    for count in (0, 1, 2, 7, 100):
        assert sorted(spread(count)) == list(range(count))


def test_progress_rises_to_one_and_raising_stops(settings):
    seen: list[float] = []
    embed_pair(SpectralEmbedder(), MASTER, DUB, on_progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0

    def stop(fraction):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_pair(SpectralEmbedder(), MASTER, DUB, on_progress=stop)


def test_progress_is_told_while_a_model_is_silent():
    seen: list[float] = []

    def work(tell):
        tell(0.25)
        ai.threading.Event().wait(1.2)
        return "done"

    assert ai._ticking(work, seen.append) == "done"
    assert seen == [0.25, 0.25]


class Failing:
    """Opens a model that works on the CPU and fails on a GPU."""

    def __init__(self, error):
        self.error = error
        self.devices: list[str] = []

    def __call__(self, model, settings):
        self.devices.append(settings.device)
        return _OnGpu(self.error) if settings.device != "cpu" else _Cheap()


class _Cheap(SpectralEmbedder):
    geometry = Geometry(160, 512, 256.0, 0)


class _OnGpu(SpectralEmbedder):
    device = "cuda:0"

    def __init__(self, error):
        self._error = error

    def embed(self, samples, *, on_progress=ignore):
        if self._error:
            raise self._error
        return super().embed(samples, on_progress=on_progress)


def test_a_gpu_does_whole_files(settings, monkeypatch):
    monkeypatch.setattr(ai, "_opened", Failing(None))
    prepared = prepare(replace(settings, device="cuda:0"), AiModel.WAV2VEC2, MASTER, DUB, ignore)
    assert prepared.notes == ("AI (Wav2Vec2) looked at the whole of both files, on cuda:0.",)


def test_a_full_gpu_gives_way_to_windows_on_the_cpu(settings, monkeypatch):
    opened = Failing(DeviceFull("cuda:0 has no memory left for one piece"))
    monkeypatch.setattr(ai, "_opened", opened)
    prepared = prepare(replace(settings, device="cuda:0"), AiModel.WAV2VEC2, MASTER, DUB, ignore)
    assert opened.devices == ["cuda:0", "cpu"]
    assert "on cpu" in prepared.notes[0]
    assert prepared.notes[1] == "cuda:0 has no memory left for one piece."
    assert best(prepared.method).lag_hops == 450


def test_a_broken_gpu_ends_the_process_and_not_the_item(settings, monkeypatch):
    monkeypatch.setattr(ai, "_opened", Failing(DeviceBroken("cuda:0 failed")))
    with pytest.raises(DeviceBroken) as raised:
        prepare(replace(settings, device="cuda:0"), AiModel.WAV2VEC2, MASTER, DUB, ignore)
    assert raised.value.retryable
    assert not raised.value.blames_item


def test_why_not_the_gpu_is_told(settings):
    told = replace(settings, device_reason="The GPU (H100) is full: 0.5 of 80.0 GiB are free.")
    assert "is full" in prepare(told, AiModel.YAMNET, MASTER, DUB, ignore).notes[1]
    assert len(prepare(told, AiModel.SPECTRAL, MASTER, DUB, ignore).notes) == 1


def test_an_absent_model_is_never_replaced_by_another(settings, tmp_path):
    nothing = replace(settings, model_dir=tmp_path)
    with pytest.raises(ModelUnusable, match="models pull yamnet"):
        prepare(nothing, AiModel.YAMNET, MASTER, DUB, ignore)
    assert set(unavailable_models(nothing)) == {AiModel.WAV2VEC2, AiModel.YAMNET}


def test_a_damaged_model_is_named(settings, tmp_path):
    shutil.copytree(settings.model_dir, tmp_path / "models")
    weights = tmp_path / "models" / "yamnet" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(ModelUnusable, match="is damaged"):
        prepare(replace(settings, model_dir=tmp_path / "models"), AiModel.YAMNET, MASTER, DUB, ignore)


@pytest.mark.parametrize("model", MODELS)
def test_models_can_be_warmed(settings, model):
    ai.warm(settings, model)
