"""Protection of an ECS task against scale-in, while it works on anything."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

import httpx

from sync_core.domain.result import AnalysisResult
from sync_core.jobs.ports.analyzer import AnalysisRequest, Analyzer, Capabilities, OnProgress

log = logging.getLogger(__name__)

_AGENT = "ECS_AGENT_URI"
_EXPIRES_MINUTES = 60  # renewed by every item that begins; longer than any item may take
_TIMEOUT_SECONDS = 2.0


def protected_on_ecs(analyzer: Analyzer) -> Analyzer:
    """Let analyses protect the task that they run in; elsewhere than on ECS, give the analyzer as it is."""
    agent = os.environ.get(_AGENT)
    return ProtectedAnalyzer(analyzer, f"{agent}/task-protection/v1/state") if agent else analyzer


@dataclass
class ProtectedAnalyzer:
    """Asks the ECS agent for protection at each item's start, and gives it up when the last one has ended.

    An agent that does not answer stops no item: a task that is taken away releases what it holds.
    """

    analyzer: Analyzer
    state_url: str
    _running: int = 0

    @property
    def capabilities(self) -> Capabilities:
        return self.analyzer.capabilities

    async def analyze(self, request: AnalysisRequest, on_progress: OnProgress) -> AnalysisResult:
        self._running += 1
        try:
            await self._protect({"ProtectionEnabled": True, "ExpiresInMinutes": _EXPIRES_MINUTES})
            return await self.analyzer.analyze(request, on_progress)
        finally:
            self._running -= 1
            if not self._running:
                await self._protect({"ProtectionEnabled": False})

    async def close(self) -> None:
        await self.analyzer.close()

    async def _protect(self, state: dict[str, object]) -> None:
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS) as http:
                (await http.put(self.state_url, json=state)).raise_for_status()
        except httpx.HTTPError as error:
            log.warning("the ECS agent did not take %s: %r", state, error)
