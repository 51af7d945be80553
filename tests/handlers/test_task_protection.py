"""On ECS, a worker with work is protected against scale-in, and an idle one is not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from handlers.task_protection import ProtectedAnalyzer, protected_on_ecs
from sync_core.domain.errors import MediaCorrupt
from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.jobs.ports.analyzer import AnalysisRequest
from tests.fakes.analyzer import ScriptedAnalyzer

REQUEST = AnalysisRequest("/mnt/data/m.wav", "/mnt/data/d.wav", DEFAULT_METHODS, None, per_channel=False)


class Agent:
    """The ECS agent's address in a task: notes what it is told."""

    def __init__(self) -> None:
        self.told: list[bool] = []
        self.status = "200 OK"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"PUT /task-protection/v1/state ")
        length = next(int(line.split(b":")[1]) for line in head.lower().splitlines() if b"content-length" in line)
        self.told.append(json.loads(await reader.readexactly(length))["ProtectionEnabled"])
        writer.write(f"HTTP/1.1 {self.status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}".encode())
        await writer.drain()
        writer.close()


@pytest.fixture
async def agent(monkeypatch) -> AsyncIterator[Agent]:
    made = Agent()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    monkeypatch.setenv("ECS_AGENT_URI", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    yield made
    server.close()


class Gate(ScriptedAnalyzer):
    """Holds every analysis until it is let go, then lets it fail."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()

    async def analyze(self, request, on_progress):
        await self.open.wait()
        raise MediaCorrupt("broken")


async def test_protection_lasts_from_the_first_item_to_the_last(agent: Agent):
    gate = Gate()
    protected = protected_on_ecs(gate)
    running = [asyncio.ensure_future(protected.analyze(REQUEST, lambda _: None)) for _ in range(2)]
    while len(agent.told) < 2:
        await asyncio.sleep(0.01)
    assert agent.told == [True, True]
    gate.open.set()
    assert all(isinstance(end, MediaCorrupt) for end in await asyncio.gather(*running, return_exceptions=True))
    assert agent.told == [True, True, False]


async def test_an_agent_that_refuses_stops_no_item(agent: Agent):
    agent.status = "500 Internal Server Error"
    gate = Gate()
    gate.open.set()
    with pytest.raises(MediaCorrupt):
        await protected_on_ecs(gate).analyze(REQUEST, lambda _: None)
    assert agent.told == [True, False]


def test_elsewhere_nothing_is_protected(monkeypatch):
    monkeypatch.delenv("ECS_AGENT_URI", raising=False)
    analyzer = ScriptedAnalyzer()
    assert protected_on_ecs(analyzer) is analyzer
    assert not isinstance(analyzer, ProtectedAnalyzer)
