"""The ai method from two files to a result: laws, labels, and what happens where a model is not there.

YAMNet and wav2vec2 are narrow and random here: their candidates are checked on the waveform like any others, so that a
found offset is exact whatever the model; how often real weights propose the right one is not tested.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from handlers.cli.main import app
from sync_core.analysis.compare import compare
from sync_core.analysis.track import ANALYSIS_RATE_HZ
from sync_core.domain.errors import MethodUnavailable
from sync_core.domain.methods import AiModel, Method
from sync_core.jobs.ports.analyzer import AnalysisRequest
from sync_core.models import convert as converting
from sync_core.models.directory import ModelDirectory
from sync_core.pipeline.ai import prepare
from sync_core.pipeline.ai_settings import AiSettings
from sync_core.pipeline.analyzer import ProcessAnalyzer
from sync_core.pipeline.capabilities import capabilities
from sync_core.pipeline.compare_files import compare_files
from tests.analysis.signals import programme, shifted, track
from tests.models.tiny import write_checkpoint
from tests.pipeline.pairs import UNRESTRICTED, write_wav

LENGTH = 24 * ANALYSIS_RATE_HZ
MUSIC = programme(32.0, seed=61)
MASTER = track(MUSIC[:LENGTH])

every_model = pytest.mark.parametrize("model", list(AiModel))


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    directory = ModelDirectory(root / "installed")
    converting.convert(AiModel.YAMNET, Path(__file__).parent / "data" / "keras2.h5", directory)
    converting.convert(AiModel.WAV2VEC2, write_checkpoint(root / "checkpoint"), directory)
    return AiSettings(model_dir=directory.root)


def estimate(settings, model, master, dub):
    method = prepare(settings, model, master, dub, lambda fraction: None).method
    return compare(master, dub, [Method.AI], ai=method)


@every_model
def test_a_file_against_itself_is_exactly_zero(settings, model):
    found = estimate(settings, model, MASTER, MASTER)
    assert found.offset_seconds == 0.0
    assert found.method_used is Method.AI


@every_model
@pytest.mark.parametrize("gain", [1.0, 0.1, -1.0])
def test_a_known_shift_is_found_whatever_the_gain(settings, model, gain):
    dub = track(np.float32(gain) * shifted(MUSIC, 1.5, LENGTH))
    assert estimate(settings, model, MASTER, dub).offset_seconds == pytest.approx(1.5, abs=2e-5)


@every_model
def test_swapping_negates(settings, model):
    dub = track(shifted(MUSIC, 2.3, LENGTH))
    one, other = estimate(settings, model, MASTER, dub), estimate(settings, model, dub, MASTER)
    assert one.offset_seconds == pytest.approx(-other.offset_seconds, abs=one.precision_seconds)


@every_model
def test_silence_is_refused(settings, model):
    silent = track(np.zeros(LENGTH, np.float32))
    for pair in ((MASTER, silent), (silent, MASTER), (silent, silent)):
        assert estimate(settings, model, *pair).offset_seconds is None


def test_a_shift_between_the_hops_is_exact_all_the_same(settings):
    dub = track(shifted(MUSIC, 3.141592, LENGTH))
    assert estimate(settings, AiModel.SPECTRAL, MASTER, dub).offset_seconds == pytest.approx(3.141592, abs=2e-5)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    dub = shifted(MUSIC, 1.25, LENGTH)
    return write_wav(folder / "master.wav", MASTER.samples, 16_000), write_wav(folder / "dub.wav", dub, 16_000)


def answer(files, methods, model, settings):
    request = AnalysisRequest(*map(str, files), methods, model)
    return compare_files(request, policy=UNRESTRICTED, ai=settings, on_progress=lambda progress: None)


def test_the_model_is_named_with_the_method(files, settings):
    result = answer(files, (Method.AI,), AiModel.SPECTRAL, settings)
    assert result.offset_seconds == pytest.approx(1.25, abs=1e-4)
    assert result.method_used == "AI (Spectral)"
    assert [(one.method, one.label, one.ok) for one in result.methods] == [(Method.AI, "AI (Spectral)", True)]
    assert "AI (Spectral) looked at the whole of both files, on cpu." in result.notes


def test_it_stands_beside_the_other_methods(files, settings):
    result = answer(files, (Method.MFCC, Method.AI), AiModel.SPECTRAL, settings)
    assert [one.label for one in result.methods] == ["MFCC", "AI (Spectral)"]
    assert all(one.ok and one.offset_seconds == result.offset_seconds for one in result.methods)


def test_an_absent_model_does_not_stop_the_others(files, settings, tmp_path):
    result = answer(files, (Method.AI, Method.MFCC), AiModel.WAV2VEC2, AiSettings(model_dir=tmp_path))
    ai, mfcc = result.methods
    assert (ai.label, ai.ok, ai.offset_seconds) == ("AI (Wav2Vec2)", False, None)
    assert "sync-analyzer models pull wav2vec2" in ai.error
    assert mfcc.ok
    assert result.method_used == "MFCC"


def test_an_absent_model_alone_is_an_error_with_the_command_that_installs_it(files, tmp_path):
    with pytest.raises(MethodUnavailable, match="sync-analyzer models pull yamnet") as raised:
        answer(files, (Method.AI,), AiModel.YAMNET, AiSettings(model_dir=tmp_path))
    assert raised.value.code == "METHOD_UNAVAILABLE"


def test_the_default_model_is_wav2vec2(files, tmp_path):
    with pytest.raises(MethodUnavailable, match=r"AI \(Wav2Vec2\)"):
        answer(files, (Method.AI,), None, AiSettings(model_dir=tmp_path))


def test_the_command_line_runs_it(files):
    arguments = ["analyze", *map(str, files), "--methods", "ai", "--ai-model", "spectral", "--json"]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0
    assert json.loads(shown.stdout)["method_used"] == "AI (Spectral)"


def test_progress_rises_to_one(files, settings):
    seen: list[float] = []
    request = AnalysisRequest(*map(str, files), (Method.AI,), AiModel.SPECTRAL)
    compare_files(request, policy=UNRESTRICTED, ai=settings, on_progress=lambda now: seen.append(now.fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


async def test_a_child_process_runs_it(files, settings, tmp_path):
    analyzer = ProcessAnalyzer(policy=UNRESTRICTED, slots=1, spool_folder=tmp_path, ai=settings)
    assert set(analyzer.capabilities.ai_models) == {"wav2vec2", "yamnet", "spectral"}
    request = AnalysisRequest(*files, (Method.AI,), AiModel.YAMNET)
    result = await analyzer.analyze(request, lambda progress: None)
    await analyzer.close()
    assert result.methods[0].label == "AI (YAMNet)"
    assert any(note.startswith("AI (YAMNet) looked at") for note in result.notes)


def test_a_gpu_that_cannot_be_used_is_named_among_the_capabilities(settings):
    told = capabilities(replace(settings, device_reason="The GPU (H100) is full: 0.5 of 80.0 GiB are free."))
    assert told.device == "cpu"
    assert "is full" in told.unavailable["gpu"]
