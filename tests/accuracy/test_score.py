"""The scorer: what counts as a boundary, and as one in its place."""

from __future__ import annotations

from tests.accuracy import score

CASE = {
    "id": "edits_000",
    "family": "edits",
    "variant": "two_cuts",
    "match": True,
    "offset_seconds": 0.0,
    "speed": 1.0,
    "segments": [
        {"dub_start": 0.0, "dub_end": 20.0, "offset": 0.0, "speed": 1.0},
        {"dub_start": 20.0, "dub_end": 40.0, "offset": 5.0, "speed": 1.0},
        {"dub_start": 40.0, "dub_end": 60.0, "offset": 9.0, "speed": 1.0},
    ],
}


def judged(*boundaries):
    """The outcome of an answer with these (dub time, offset from there on)."""
    starts = [(0.0, 0.0), *boundaries]
    ends = [*(start for start, _ in boundaries), 60.0]
    segments = [
        {"dub_start": start, "dub_end": end, "offset_seconds": offset, "speed_ratio": 1.0}
        for (start, offset), end in zip(starts, ends, strict=True)
    ]
    result = {"verdict": "offset", "offset_seconds": 0.0, "confidence": 0.9, "segments": segments}
    return score.judge(CASE, {"status": "completed", "result": result})


def test_boundaries_are_counted_and_those_within_a_frame_too():
    summary = score.summarise([judged((20.03, 5.0), (40.3, 9.0))])
    assert (summary["boundaries"], summary["boundaries_within_40ms"], summary["invented_edits"]) == (2, 1, 0)
    assert summary["edit_f1"] == 1.0


def test_a_boundary_with_a_wrong_step_is_missed_and_invented():
    summary = score.summarise([judged((20.0, 5.0), (40.0, 9.01))])
    assert (summary["boundaries_within_40ms"], summary["invented_edits"]) == (1, 1)
    assert summary["edit_f1"] == 0.5
