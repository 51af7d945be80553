"""What a worker tells about itself; what `/methods` and `/health` report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sync_core.domain.methods import Method


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A living worker: its slots, device, and the methods and AI models it can run.

    `unavailable` gives the reason per method or `ai:<model>` that it cannot run.
    """

    worker_id: str
    host: str
    pid: int
    slots: int
    device: str
    version: str
    methods: tuple[Method, ...]
    ai_models: tuple[str, ...]
    unavailable: Mapping[str, str]
    started_at: datetime
    seen_at: datetime
