"""Pieces of many recordings in one batch: who shares it, who is never forgotten, and whom an error reaches."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, wait

import numpy as np
import pytest

from sync_core.models.batching import DynamicBatcher
from sync_core.models.embedder import Geometry
from sync_core.models.errors import DeviceBroken, DeviceFull

SHORT, LONG = np.ones(3, np.float32), np.ones(5, np.float32)


class Model:
    """Tells the mean of each piece; waits before its first batch until it may begin."""

    name, device, precision = "mean", "cuda:0", "float32"
    geometry, dims, chunk_hops = Geometry(160, 160, 79.5, 0), 1, 1

    def __init__(self, pieces_at_once=4):
        self.pieces_at_once = pieces_at_once
        self.batches: list[tuple[int, int]] = []
        self.may_begin = threading.Event()
        self.errors: list[Exception] = []

    def embed_pieces(self, pieces):
        assert self.may_begin.wait(10.0)
        self.batches.append(pieces.shape)
        if self.errors:
            raise self.errors.pop(0)
        return pieces.mean(axis=1)[:, None, None]


def batcher(model, broken=None):
    return DynamicBatcher(model, on_broken=(broken if broken is not None else []).append, linger_seconds=0.05)


def submit_all(runner, pieces):
    futures = [runner.submit(piece) for piece in pieces]
    runner.model.may_begin.set()
    done, waiting = wait(futures, timeout=10.0)
    assert len(done) == len(futures)
    assert not waiting
    return futures


def test_pieces_of_many_threads_share_batches_and_each_gets_its_own_rows():
    runner = batcher(Model())
    answers: dict[int, float] = {}

    def one(number):
        answers[number] = float(runner.submit(np.full(3, number, np.float32)).result(10.0)[0, 0])

    threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    runner.model.may_begin.set()
    for thread in threads:
        thread.join()
    assert answers == {number: number for number in range(12)}
    assert len(runner.model.batches) < 12


def test_a_batch_holds_pieces_of_one_length_and_no_more_than_fit():
    runner = batcher(Model(pieces_at_once=3))
    submit_all(runner, [SHORT, LONG, SHORT, LONG, SHORT, SHORT, LONG])
    assert sum(count for count, _ in runner.model.batches) == 7
    assert max(count for count, _ in runner.model.batches) <= 3
    assert len(runner.model.batches) <= 4


def test_a_rare_length_is_not_starved_by_a_common_one():
    runner = batcher(Model(pieces_at_once=2))
    submit_all(runner, [LONG, SHORT, LONG, LONG, LONG, LONG, LONG])
    assert (1, 3) in runner.model.batches[:3]


def test_a_piece_nobody_waits_for_is_not_embedded():
    runner = batcher(Model(pieces_at_once=1))
    first, second, third = (runner.submit(SHORT) for _ in range(3))
    assert second.cancel()
    runner.model.may_begin.set()
    assert first.result(10.0) == third.result(10.0)
    with pytest.raises(CancelledError):
        second.result(10.0)
    assert len(runner.model.batches) == 2


@pytest.mark.parametrize("error", [DeviceFull("cuda:0 has no memory left for one piece"), ValueError("a bug")])
def test_an_error_reaches_those_of_its_batch_and_the_next_are_served(error):
    model, broken = Model(pieces_at_once=2), []
    model.errors = [error]
    futures = submit_all(batcher(model, broken), [SHORT] * 4)
    assert [future.exception() for future in futures] == [error, error, None, None]
    assert not broken


def test_a_device_that_failed_for_good_is_told():
    model, broken, error = Model(), [], DeviceBroken("cuda:0 failed and must be opened anew")
    model.errors = [error]
    (future,) = submit_all(batcher(model, broken), [SHORT])
    assert future.exception() is error
    assert broken == [error]
