"""Which lines a dub is said to lie on, where the programme repeats itself or nothing is heard."""

from __future__ import annotations

import numpy as np

from sync_core.analysis.coherence import BLOCK_SAMPLES
from sync_core.analysis.fit import Fit
from sync_core.analysis.line import Line
from sync_core.analysis.path import GAP
from sync_core.analysis.repeats import runs_without_repeats

CLEAR, SILENT, UNMET = 20.0, 0.0, np.nan
ROWS = 400


def fit(lag_rows: float) -> Fit:
    nothing = np.zeros(0)
    line = Line(lag_rows * BLOCK_SAMPLES, 1.0, 0, ROWS * BLOCK_SAMPLES)
    return Fit(line, 100.0, 1.0, 1e-6, 1e-9, 0.0, 1, nothing, nothing)


def heard(*stretches: tuple[int, int, float]) -> np.ndarray:
    """Scores of one line: noise, but for some stretches of rows."""
    scores = 1.0 + np.random.default_rng(len(stretches)).random(ROWS)
    for start, stop, score in stretches:
        scores[start:stop] = score
    return scores


def lines_of(fits: list[Fit], *scores: np.ndarray, master_repeats: bool = True) -> list[tuple[int, int, int]]:
    runs = runs_without_repeats(fits, np.array(scores), lambda *_: master_repeats)
    return [(run.line, run.start, run.stop) for run in runs if run.line != GAP]


def test_a_line_takes_nothing_where_it_is_not_heard():
    silence = (170, 210, SILENT)
    found = lines_of(
        [fit(0), fit(39), fit(-2)],
        heard((0, 100, CLEAR), silence),
        heard((100, 170, CLEAR), silence),
        heard((210, 400, CLEAR), silence),
    )
    assert [line for line, *_ in found] == [0, 1, 2]


def test_a_repeat_is_as_long_as_it_is_clearly_heard():
    silence, chance = (230, 400, SILENT), (395, 396, 3.3)
    found = lines_of([fit(70), fit(-40)], heard((80, 180, CLEAR), silence), heard((200, 230, CLEAR), silence, chance))
    assert [line for line, *_ in found] == [0]


def test_a_loop_that_begins_before_the_master_is_one_line():
    found = lines_of(
        [fit(-17), fit(-2)], heard((0, 17, UNMET), (17, 34, 10.0), (34, 240, CLEAR)), heard((0, 34, CLEAR))
    )
    assert [line for line, *_ in found] == [0]


def test_a_faint_echo_of_a_later_part_does_not_take_an_earlier_part_that_is_heard_far_better():
    found = lines_of([fit(-14), fit(10)], heard((8, 140, 16.0), (170, 400, 1_000.0)), heard((0, 150, 1_000.0)))
    assert [line for line, *_ in found] == [1, 0]


def test_what_goes_back_in_the_master_is_an_echo_only_if_the_master_repeats_itself():
    scores = heard((0, 100, CLEAR), (220, 400, CLEAR)), heard((100, 160, CLEAR)), heard((160, 220, CLEAR))
    fits = [fit(0), fit(60), fit(-60)]
    assert 2 not in [line for line, *_ in lines_of(fits, *scores)]
    assert [line for line, *_ in lines_of(fits, *scores, master_repeats=False)] == [0, 1, 2, 0]


def test_what_is_played_again_is_an_echo():
    scores = heard((0, 100, CLEAR), (150, 400, CLEAR)), heard((100, 150, CLEAR))
    assert [line for line, *_ in lines_of([fit(0), fit(-70)], *scores, master_repeats=False)] == [0, 0]


def test_in_a_dub_that_is_mostly_something_else_what_goes_back_is_an_echo():
    scores = heard((0, 60, CLEAR)), heard((60, 100, CLEAR))
    assert [line for line, *_ in lines_of([fit(50), fit(-60)], *scores, master_repeats=False)] == [0]


def test_what_goes_back_after_the_master_has_ended_is_an_echo():
    scores = heard((0, 260, CLEAR), (260, 400, UNMET)), heard((300, 350, CLEAR))
    assert [line for line, *_ in lines_of([fit(50), fit(-300)], *scores, master_repeats=False)] == [0]


def test_what_is_heard_on_several_lines_alike_is_on_none_of_them():
    beeps = np.where(np.arange(ROWS) % 4 == 0, CLEAR, SILENT)
    beside = np.where(np.arange(ROWS) < 60, beeps, SILENT)
    fits = [fit(-50), fit(0), fit(4), fit(8)]
    found = lines_of(fits, heard((0, 60, SILENT), (80, 400, CLEAR)), beside, beside, beside)
    assert [line for line, *_ in found] == [0]
