"""Arithmetic of byte ranges, against sets of positions."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from sync_core.media.ranges import REQUEST_COST_BYTES, ByteRange, RangeMap, merged, split, total_bytes, worth_fetching

some = st.tuples(st.integers(0, 300), st.integers(0, 40)).map(lambda pair: ByteRange(pair[0], pair[0] + pair[1]))
several = st.lists(some, max_size=30)
LARGE = 10**12


def positions(ranges: list[ByteRange]) -> set[int]:
    return {at for one in ranges for at in range(one.start, one.stop)}


@given(several)
def test_merging_keeps_every_position_and_adds_none(ranges: list[ByteRange]) -> None:
    joined = merged(ranges)
    assert positions(joined) == positions(ranges)
    assert total_bytes(joined) == len(positions(ranges))


@given(several, st.integers(0, 50))
def test_merged_ranges_are_in_order_and_farther_apart_than_the_gap(ranges: list[ByteRange], gap: int) -> None:
    joined = merged(ranges, gap_bytes=gap)
    assert all(after.start - before.stop > gap for before, after in itertools.pairwise(joined))
    assert positions(joined) >= positions(ranges)
    assert merged(joined, gap_bytes=gap) == joined


@given(several, st.integers(0, 50))
def test_merging_fills_no_gap_that_is_larger(ranges: list[ByteRange], gap: int) -> None:
    filled = positions(merged(ranges, gap_bytes=gap)) - positions(ranges)
    assert all(one.size <= gap for one in merged(ByteRange(at, at + 1) for at in filled))


@given(several)
def test_what_is_fetched_holds_what_is_wanted(ranges: list[ByteRange]) -> None:
    wanted = merged(ranges)
    chosen = worth_fetching(wanted, file_bytes=LARGE)
    assert chosen is not None
    assert positions(chosen) >= positions(wanted)


@given(st.lists(st.integers(0, 3_000_000), min_size=1, max_size=40), st.integers(REQUEST_COST_BYTES, 1_000_000))
def test_ranges_that_are_worth_a_request_waste_little(gaps: list[int], size: int) -> None:
    wanted, at = [], 0
    for gap in gaps:
        wanted.append(ByteRange(at + gap, at + gap + size))
        at = wanted[-1].stop
    chosen = worth_fetching(merged(wanted), file_bytes=LARGE)
    assert chosen is not None
    assert total_bytes(chosen) <= 1.01 * size * len(gaps)


def test_tiny_ranges_are_fetched_together() -> None:
    frames = [ByteRange(at, at + 6_000) for at in range(0, 60_000_000, 60_000)]
    chosen = worth_fetching(frames, file_bytes=LARGE)
    assert chosen == [ByteRange(0, frames[-1].stop)]


def test_ranges_far_apart_stay_apart() -> None:
    chunks = [ByteRange(at, at + 8_000) for at in range(0, 400_000_000, 400_000)]
    assert worth_fetching(chunks, file_bytes=400_000_000) == chunks


def test_a_file_that_is_mostly_audio_is_read_as_a_whole() -> None:
    chunks = [ByteRange(at, at + 90_000) for at in range(0, 10_000_000, 100_000)]
    assert worth_fetching(chunks, file_bytes=10_000_000) is None


@given(several, st.integers(0, 400))
def test_positions_are_found(ranges: list[ByteRange], position: int) -> None:
    joined = merged(ranges)
    found = RangeMap(joined).at(position)
    assert (found is not None) == (position in positions(joined))
    assert found is None or found.start <= position < found.stop


@given(several, st.integers(0, 400))
def test_what_follows_a_position(ranges: list[ByteRange], position: int) -> None:
    joined = merged(ranges)
    later = [one for one in joined if one.start > position]
    assert list(RangeMap(joined).following(position)) == later
    assert RangeMap(joined).next_start(position) == (later[0].start if later else None)


@given(several, st.integers(1, 50))
def test_blocks_are_the_same_bytes_in_pieces(ranges: list[ByteRange], size: int) -> None:
    blocks = split(merged(ranges), size)
    assert all(0 < block.size <= size for block in blocks)
    assert merged(blocks) == merged(ranges)
    assert total_bytes(blocks) == total_bytes(merged(ranges))
