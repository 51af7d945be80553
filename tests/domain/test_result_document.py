"""The stored form of a result is JSON that any reader takes."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.methods import Method
from sync_core.domain.result import AnalysisResult, Candidate, MethodResult, Segment, SegmentKind, Verdict
from sync_core.domain.result_document import result_document

RESULT = AnalysisResult(
    verdict=Verdict.OFFSET,
    offset_seconds=-15.023,
    confidence=0.98123456,
    method_used="MFCC",
    precision_seconds=1e-5,
    speed_ratio=1.0,
    drift_ppm=-0.0,
    rate_label=None,
    segments=(Segment(0.0, 10.0, -15.023, 1.0, 0.9, SegmentKind.PROGRAMME),),
    candidates=(Candidate(1.0, 1.0, 0.1),),
    methods=(MethodResult(Method.MFCC, "MFCC", -15.023, 12.3456, 0.9, ok=True),),
    frames=None,
    timecode=None,
    media={},
)


def test_names_are_the_fields_and_enumerations_are_their_words():
    document = result_document(RESULT)
    assert document["verdict"] == "offset"
    assert document["segments"][0]["kind"] == "programme"
    assert document["methods"][0]["method"] == "mfcc"


def test_confidences_have_four_decimals_and_there_is_no_negative_zero():
    document = result_document(RESULT)
    assert document["confidence"] == 0.9812
    assert math.copysign(1.0, document["drift_ppm"]) == 1.0


@given(st.floats(), st.floats())
def test_any_numbers_make_strict_json(offset, score):
    odd = replace(RESULT, offset_seconds=offset, methods=(replace(RESULT.methods[0], score=score),))
    text = json.dumps(result_document(odd), allow_nan=False)
    assert json.loads(text)["offset_seconds"] is None or math.isfinite(offset)
