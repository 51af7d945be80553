"""Timecode against a count of its own: a clock of wheels that turns frame by frame, as the standard words it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.timecode import frame_count, frame_label, has_drop_frame, timecode

RATES = [Fraction(text) for text in ("24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60")]


def labels_of_a_day(nominal: int, dropped: int) -> Iterator[str]:
    """Labels in order; the first `dropped` of each minute are left out, except in minutes 0, 10, 20, 30, 40 and 50."""
    frames = [f"{frame:02d}" for frame in range(nominal)]
    for hour in range(24):
        for minute in range(60):
            for second in range(60):
                skip = dropped if second == 0 and minute % 10 else 0
                prefix = f"{hour:02d}:{minute:02d}:{second:02d};"
                for frame in frames[skip:]:
                    yield prefix + frame


@pytest.mark.parametrize(
    ("nominal", "dropped", "frames_a_day"),
    [(30, 2, 2_589_408), (60, 4, 5_178_816)],
    ids=["29.97", "59.94"],
)
def test_every_drop_frame_label_of_a_day(nominal: int, dropped: int, frames_a_day: int) -> None:
    wrong = [
        (number, label)
        for number, label in enumerate(labels_of_a_day(nominal, dropped))
        if frame_label(number, nominal, drop_frame=True) != label
    ]
    assert not wrong[:3]
    assert frame_label(frames_a_day - 1, nominal, drop_frame=True).startswith("23:59:59")
    assert frame_label(frames_a_day, nominal, drop_frame=True).startswith("24:00:00")


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(60000, 1001)])
def test_drop_frame_keeps_to_the_clock_all_day(rate: Fraction) -> None:
    for hours in range(1, 25):
        hour, minute, second, frame = timecode(hours * 3600.0, rate).replace(";", ":").split(":")
        shown = int(hour) * 3600 + int(minute) * 60 + int(second) + int(frame) / float(rate)
        assert shown == pytest.approx(hours * 3600.0, abs=0.11)


@pytest.mark.parametrize(
    ("seconds", "rate", "label"),
    [
        (0.0, "25", "00:00:00:00"),
        (-0.0, "25", "00:00:00:00"),
        (-0.001, "25", "00:00:00:00"),
        (-15.023, "25", "-00:00:15:01"),
        (2.456, "24000/1001", "00:00:02:11"),
        (60.06, "30000/1001", "00:01:00;02"),
        (-60.06, "30000/1001", "-00:01:00;02"),
        (600.6, "30000/1001", "00:10:00;18"),
        (100 * 3600.0, "25", "100:00:00:00"),
    ],
)
def test_examples(seconds: float, rate: str, label: str) -> None:
    assert timecode(seconds, Fraction(rate)) == label


def test_drop_frame_can_be_refused_but_not_invented() -> None:
    assert timecode(60.06, Fraction(30000, 1001), drop_frame=False) == "00:01:00:00"
    with pytest.raises(ValueError, match="no drop-frame"):
        timecode(1.0, Fraction(25), drop_frame=True)
    with pytest.raises(ValueError, match="not positive"):
        timecode(1.0, Fraction(0))
    assert [rate for rate in RATES if has_drop_frame(rate)] == [Fraction(30000, 1001), Fraction(60000, 1001)]


@given(st.floats(-1e5, 1e5), st.sampled_from(RATES))
def test_sign_and_count(seconds: float, rate: Fraction) -> None:
    assert timecode(-seconds, rate).lstrip("-") == timecode(seconds, rate).lstrip("-")
    assert timecode(seconds, rate).startswith("-") == (round(Fraction(seconds) * rate) < 0)
    assert frame_count(seconds, rate) == pytest.approx(seconds * float(rate), rel=1e-12, abs=1e-9)
