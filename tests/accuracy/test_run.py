"""The benchmark's run: which families are measured, and together with which."""

from __future__ import annotations

from tests.accuracy import corpus, run


def test_all_families_are_one_corpus():
    assert run.groups_of("", "", one_by_one=False) == [""]


def test_families_can_be_chosen_and_left_out():
    assert run.groups_of("edits,wow,long", "long", one_by_one=False) == ["edits,wow"]
    assert "long" not in run.groups_of("", "long", one_by_one=False)[0].split(",")


def test_one_by_one_each_family_is_a_corpus():
    assert run.groups_of("", "long", one_by_one=True) == [name for name in corpus.FAMILIES if name != "long"]
