"""From an estimate of the analysis to the answer about two files: verdict, frames, timecode, notes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from sync_core.analysis import verdict
from sync_core.analysis.estimate import Estimate
from sync_core.domain.methods import AiModel, Method, label
from sync_core.domain.result import AnalysisResult, ChannelOffset, FrameCount, MediaInfo, MethodResult
from sync_core.domain.timecode import frame_count, has_drop_frame, timecode
from sync_core.pipeline.load_track import Loaded

_DEFAULT_RATE = Fraction(25)


def assemble(
    estimate: Estimate,
    master: Loaded,
    dub: Loaded,
    *,
    order: tuple[Method, ...],
    unavailable: tuple[MethodResult, ...],
    ai_model: AiModel,
    tolerance_seconds: float | None,
    channel_offsets: tuple[ChannelOffset, ...],
) -> AnalysisResult:
    """Put the answer together.

    Parameters
    ----------
    order
        The methods as they were asked for.
    unavailable
        Answers for those that could not run.
    ai_model
        The model that the ai method ran with, if it ran.
    tolerance_seconds
        None: one frame at the rate that the offset is counted in.
    """
    source, rate, drop_frame = _count_at(master.info, dub.info)
    tolerance = float(1 / rate) if tolerance_seconds is None else tolerance_seconds
    offset = estimate.offset_seconds
    ratio = estimate.speed_ratio
    return AnalysisResult(
        verdict=verdict.decide(estimate, tolerance_seconds=tolerance, dub_seconds=dub.mix.duration_seconds),
        offset_seconds=offset,
        confidence=estimate.confidence,
        method_used=None if estimate.method_used is None else label(estimate.method_used, ai_model),
        precision_seconds=estimate.precision_seconds,
        speed_ratio=ratio,
        drift_ppm=None if ratio is None else (ratio - 1.0) * 1e6,
        rate_label=estimate.rate_label,
        segments=estimate.segments,
        candidates=estimate.candidates,
        methods=tuple(
            replace(result, label=label(result.method, ai_model))
            for result in sorted((*estimate.methods, *unavailable), key=lambda result: order.index(result.method))
        ),
        frames=None if offset is None else FrameCount(frame_count(offset, rate), str(rate), source),
        timecode=None if offset is None else timecode(offset, rate, drop_frame=drop_frame),
        media={"master": master.info, "dub": dub.info},
        notes=_notes(estimate, master, dub, unavailable, channel_offsets, tolerance),
        channel_offsets=channel_offsets,
    )


def _count_at(master: MediaInfo, dub: MediaInfo) -> tuple[str, Fraction, bool]:
    """Return whose frame rate to count in, that rate, and whether its timecode is drop-frame."""
    for source, info in (("master", master), ("dub", dub)):
        if info.frame_rate:
            rate = Fraction(info.frame_rate)
            counts_all = info.start_timecode is not None and ";" not in info.start_timecode
            return source, rate, has_drop_frame(rate) and not counts_all
    return "default", _DEFAULT_RATE, False


def _notes(
    estimate: Estimate,
    master: Loaded,
    dub: Loaded,
    unavailable: tuple[MethodResult, ...],
    channel_offsets: tuple[ChannelOffset, ...],
    tolerance: float,
) -> tuple[str, ...]:
    silent = [
        f"The {name} is silent throughout." for name, loaded in (("master", master), ("dub", dub)) if loaded.silent
    ]
    damaged = [
        f"The {name} was damaged, but could be read: {'; '.join(loaded.info.warnings)}."
        for name, loaded in (("master", master), ("dub", dub))
        if loaded.info.warnings
    ]
    not_run = [result.error for result in unavailable if result.error]
    return (*estimate.notes, *silent, *damaged, *not_run, *_slipped(estimate, channel_offsets, tolerance))


def _slipped(estimate: Estimate, channel_offsets: tuple[ChannelOffset, ...], tolerance: float) -> list[str]:
    """Name the channels that lie apart from the mix."""
    if estimate.offset_seconds is None:
        return []
    apart = [
        (one.channel, one.offset_seconds - estimate.offset_seconds)
        for one in channel_offsets
        if one.offset_seconds is not None
    ]
    return [f"Channel {name} lies {by:+.3f} s from the mix." for name, by in apart if abs(by) > tolerance]
