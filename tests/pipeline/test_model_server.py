"""One process that runs the models for all children, on a CPU here, with a tiny random network."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from sync_core.domain.methods import AiModel, Method
from sync_core.models import convert as converting
from sync_core.models.directory import ModelDirectory
from sync_core.models.errors import DeviceBroken, ModelUnusable
from sync_core.models.opening import open_embedder
from sync_core.pipeline import remote_embedder
from sync_core.pipeline.ai_settings import AiSettings
from sync_core.pipeline.analyzer import ProcessAnalyzer
from sync_core.pipeline.remote_embedder import RemoteEmbedder
from sync_core.pipeline.shared_models import SharedModels
from tests.models.tiny import write_checkpoint
from tests.pipeline.pairs import PROGRAMME, UNRESTRICTED, ignore, late, request, write_wav

SOUND = np.random.default_rng(8).normal(scale=0.1, size=70 * 16_000).astype(np.float32)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    directory = ModelDirectory(root / "installed")
    converting.convert(AiModel.WAV2VEC2, write_checkpoint(root / "checkpoint"), directory)
    converting.convert(AiModel.YAMNET, Path(__file__).parents[1] / "models" / "data" / "keras2.h5", directory)
    return AiSettings(model_dir=directory.root, cpu_threads=1)


@pytest.fixture
def shared():
    models = SharedModels()
    yield models
    asyncio.run(models.close())
    assert models.pid is None


def remote(shared, settings, samples=SOUND, model=AiModel.WAV2VEC2, on_progress=lambda fraction: None):
    with RemoteEmbedder.connected(shared.address(), model, settings) as embedder:
        return embedder.embed(samples, on_progress=on_progress)


@pytest.mark.parametrize("model", [AiModel.WAV2VEC2, AiModel.YAMNET])
def test_it_embeds_as_a_model_of_ones_own(shared, settings, model):
    own = open_embedder(model, ModelDirectory(settings.model_dir))
    told: list[float] = []
    np.testing.assert_allclose(
        remote(shared, settings, model=model, on_progress=told.append), own.embed(SOUND), atol=1e-5
    )
    assert told == sorted(told)
    assert told[-1] == 1.0
    with RemoteEmbedder.connected(shared.address(), model, settings) as embedder:
        assert (embedder.name, embedder.geometry, embedder.dims) == (own.name, own.geometry, own.dims)
        assert (embedder.device, embedder.precision) == ("cpu", "float32")


def test_several_clients_are_served_by_one_process(shared, settings):
    sounds = [SOUND[16_000 * n :] for n in range(4)]
    shared.address()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda sound: remote(shared, settings, sound), sounds))
    own = open_embedder(AiModel.WAV2VEC2, ModelDirectory(settings.model_dir))
    for sound, answer in zip(sounds, answers, strict=True):
        np.testing.assert_allclose(answer, own.embed(sound), atol=1e-5)


def test_a_model_that_is_not_installed_is_refused_and_others_go_on(shared, settings, tmp_path):
    with pytest.raises(ModelUnusable, match="models pull wav2vec2"):
        remote(shared, replace(settings, model_dir=tmp_path))
    assert remote(shared, settings).any()


def test_a_client_that_leaves_in_the_middle_does_not_disturb(shared, settings):
    class Left(Exception):
        pass

    def leave(fraction):
        raise Left

    with pytest.raises(Left):
        remote(shared, settings, on_progress=leave)
    assert remote(shared, settings).any()


def test_a_process_that_ended_is_told_and_another_takes_its_place(shared, settings):
    with RemoteEmbedder.connected(shared.address(), AiModel.WAV2VEC2, settings) as first:
        first.embed(SOUND)
    before = shared.pid
    with pytest.raises(DeviceBroken, match="has ended") as raised:
        signal_when_opened(shared, settings, signal.SIGKILL)
    assert raised.value.retryable
    assert not raised.value.blames_item
    while shared.pid == before:  # until the kernel has told
        time.sleep(0.01)
    assert remote(shared, settings).any()
    assert shared.pid not in (None, before)


def signal_when_opened(shared, settings, number):
    with RemoteEmbedder.connected(shared.address(), AiModel.WAV2VEC2, settings) as embedder:
        os.kill(shared.pid, number)
        embedder.embed(SOUND)


def test_a_process_that_is_stuck_is_told_and_discarded(shared, settings, monkeypatch):
    monkeypatch.setattr(remote_embedder, "ANSWER_SECONDS", 0.5)
    address = shared.address()
    with pytest.raises(DeviceBroken, match="gives no answer"):
        signal_when_opened(shared, settings, signal.SIGSTOP)
    stuck = shared.pid
    asyncio.run(shared.discard(address))
    assert not psutil.pid_exists(stuck)
    assert shared.address() != address


def test_it_ends_with_its_parent(tmp_path):
    code = (
        "from sync_core.pipeline.shared_models import SharedModels\n"
        "models = SharedModels()\nmodels.address()\nprint(models.pid, flush=True)\ninput()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    server = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    gone, alive = psutil.wait_procs([server], timeout=10.0)
    assert gone
    assert not alive


async def test_children_of_a_worker_share_it_and_survive_its_end(settings, tmp_path):
    analyzer = ProcessAnalyzer(
        policy=UNRESTRICTED, slots=2, spool_folder=tmp_path / "spool", ai=settings, share_models=True
    )
    pair = write_wav(tmp_path / "master.wav", PROGRAMME), write_wav(tmp_path / "dub.wav", late(1.0))
    asked = replace(request(*pair, (Method.AI, Method.SPECTRAL)), ai_model=AiModel.WAV2VEC2)
    try:
        await analyzer.warm_up()
        server = analyzer.model_server_pid
        results = await asyncio.gather(*(analyzer.analyze(asked, ignore) for _ in range(2)))
        for result in results:
            assert result.offset_seconds == pytest.approx(-1.0, abs=1e-3)
            assert any("AI (Wav2Vec2) looked at the whole" in note for note in result.notes)
        assert analyzer.model_server_pid == server
        os.kill(server, signal.SIGKILL)
        while analyzer.model_server_pid == server:  # until the kernel has told
            await asyncio.sleep(0.01)
        result = await analyzer.analyze(asked, ignore)
        assert result.offset_seconds == pytest.approx(-1.0, abs=1e-3)
        assert analyzer.model_server_pid not in (None, server)
    finally:
        await analyzer.close()
    assert analyzer.model_server_pid is None
