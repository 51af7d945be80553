"""Watching a batch while its service goes away and comes back."""

from __future__ import annotations

import pytest

from handlers.cli.batch import watch_batch
from sync_core.domain.errors import InputError, ServiceUnreachable

AWAY = ServiceUnreachable("No Sync Analyzer answers.")
RESULTS = {"results": []}


class Client:
    """Answers from a list; errors are raised."""

    def __init__(self, *answers):
        self._answers = list(answers)

    def status(self, batch_id):
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def results(self, batch_id):
        return RESULTS


def status(name):
    return {
        "status": name, "items_total": 2, "items_completed": 1, "items_failed": 0, "items_cancelled": 0,
        "items_processing": 0,
    }  # fmt: skip


def watch(*answers, patience_seconds=60.0):
    return watch_batch(Client(*answers), "batch_1", poll_seconds=0.0, patience_seconds=patience_seconds)


def test_a_service_that_is_started_anew_is_waited_for():
    assert watch(status("processing"), AWAY, AWAY, status("processing"), AWAY, status("completed")) is RESULTS


def test_a_service_that_never_answered_is_not_waited_for():
    with pytest.raises(ServiceUnreachable):
        watch(AWAY, status("completed"))


def test_patience_has_an_end():
    with pytest.raises(ServiceUnreachable):
        watch(status("processing"), AWAY, status("completed"), patience_seconds=-1.0)


def test_a_refusal_is_told_at_once():
    with pytest.raises(InputError, match="no batch"):
        watch(status("processing"), InputError("There is no batch of that id."), status("completed"))
