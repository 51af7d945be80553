"""What the analysis knows about a pair, before files, frames and tolerances come into it."""

from __future__ import annotations

from dataclasses import dataclass

from sync_core.analysis.confidence import Evidence
from sync_core.domain.methods import Method
from sync_core.domain.result import Candidate, MethodResult, Segment


@dataclass(frozen=True, slots=True)
class Estimate:
    """The answer of `compare`; fields mean what they mean in `sync_core.domain.result.AnalysisResult`.

    `offset_seconds`, `speed_ratio` and `precision_seconds` are None where nothing matched; then `confidence` is that of
    the best refused candidate. `edited` says that the dub differs from the master from part to part. `evidence` is what
    the confidence was computed of.
    """

    offset_seconds: float | None
    speed_ratio: float | None
    rate_label: str | None
    precision_seconds: float | None
    confidence: float
    method_used: Method | None
    edited: bool
    segments: tuple[Segment, ...]
    candidates: tuple[Candidate, ...]
    methods: tuple[MethodResult, ...]
    notes: tuple[str, ...] = ()
    evidence: Evidence | None = None
