"""What is taken out of runs in which a line is not heard."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sync_core.analysis import unheard
from sync_core.analysis.path import GAP, Run

CLEAR, UNLIKE, SILENT = 20.0, 1.0, 0.0
LONG = unheard.LONG_ROWS


def never(_line: int, _first: int, _last: int) -> bool:
    return False


@given(
    st.lists(st.tuples(st.sampled_from([CLEAR, UNLIKE, SILENT, np.nan]), st.integers(1, 2 * LONG)), min_size=1),
    st.booleans(),
)
def test_runs_cover_the_same_rows_and_lose_only_what_was_not_heard(parts, is_heard):
    scores = np.concatenate([np.full(rows, score) for score, rows in parts])
    run = Run(0, 0, scores.size)

    runs = unheard.taken_out([run], scores[None], lambda *_: is_heard)

    assert [row for part in runs for row in range(part.start, part.stop)] == list(range(scores.size))
    taken = np.concatenate([scores[part.start : part.stop] for part in runs if part.line == GAP] or [np.zeros(0)])
    assert not np.any(taken == CLEAR)
    assert not (is_heard and taken.size)


def test_a_minute_unlike_the_line_is_taken_out_but_not_a_minute_of_silence_or_less():
    heard = np.full(50, CLEAR)
    for between, rows in ((UNLIKE, LONG), (UNLIKE, LONG - 1), (SILENT, 2 * LONG), (np.nan, 2 * LONG)):
        scores = np.concatenate([heard, np.full(rows, between), heard])
        runs = unheard.taken_out([Run(0, 0, scores.size)], scores[None], never)
        is_taken = (between, rows) == (UNLIKE, LONG)
        whole = [Run(0, 0, scores.size)]
        assert runs == ([Run(0, 0, 50), Run(GAP, 50, 50 + LONG), Run(0, 50 + LONG, scores.size)] if is_taken else whole)


def test_a_gap_stays_a_gap():
    assert unheard.taken_out([Run(GAP, 0, 9)], np.zeros((1, 9)), never) == [Run(GAP, 0, 9)]


def test_a_part_that_a_dub_shares_ends_where_it_is_no_longer_heard():
    """In a dub that is mostly unlike the master ten seconds are enough."""
    long, short = unheard.LONG_ROWS, unheard.SHORT_ROWS
    for before, after, ends in ((long, short, True), (long, short - 1, False), (10, short, False)):
        scores = np.concatenate([np.full(before, UNLIKE), np.full(50, CLEAR), np.full(after, UNLIKE)])
        run = Run(0, before, scores.size)
        runs = unheard.taken_out([Run(GAP, 0, before), run], scores[None], never)
        stop = before + 50
        parts = [Run(0, before, stop), Run(GAP, stop, scores.size)] if ends else [run]
        assert runs == [Run(GAP, 0, before), *parts]
