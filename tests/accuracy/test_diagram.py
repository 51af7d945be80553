"""The reliability diagram shows each tenth of confidence once, where it belongs."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from tests.accuracy import diagram

OUTCOMES = [
    {"claimed": True, "confidence": 0.95, "right": True},
    {"claimed": True, "confidence": 0.97, "right": False},
    {"claimed": True, "confidence": 0.55, "right": True},
    {"claimed": False, "confidence": None, "right": True},
]


def test_refusals_are_no_points_and_tenths_are_averaged():
    assert diagram.bins_of(OUTCOMES) == [(0.55, 1.0, 1), (pytest.approx(0.96), 0.5, 2)]


def test_the_picture_has_a_circle_for_each_tenth():
    root = ET.fromstring(diagram.svg(OUTCOMES))
    circles = root.findall("{http://www.w3.org/2000/svg}circle")
    assert [float(circle.get("cy")) for circle in circles] == [diagram.MARGIN, diagram.MARGIN + diagram.SIDE / 2]


def test_nothing_claimed_gives_an_empty_picture():
    assert "circle" not in diagram.svg([])
