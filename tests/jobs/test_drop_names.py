"""What dropped objects mean by their names."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.jobs.drop_names import Pair, pair_up, result_key, trigger_of

WORD = st.text("abcäß%+ 0189_-", min_size=1, max_size=8).map(str.strip).filter(bool)
STEMS = st.lists(WORD, min_size=1, max_size=3).map(".".join)


@pytest.mark.parametrize(
    ("key", "stem", "settings", "errors"),
    [
        ("drop/pairs.csv", "pairs", "drop/pairs.json", "drop/pairs.errors.json"),
        ("drop/a b/Ü%.CSV", "a b/Ü%", "drop/a b/Ü%.json", "drop/a b/Ü%.errors.json"),
        ("drop/x/y.v2.csv", "x/y.v2", "drop/x/y.v2.json", "drop/x/y.v2.errors.json"),
        ("drop/job/_READY", "job", "drop/job/_READY.json", "drop/job/_READY.errors.json"),
        ("drop/a/b/_READY", "a/b", "drop/a/b/_READY.json", "drop/a/b/_READY.errors.json"),
        ("drop/x.errors.csv", "x.errors", None, "drop/x.errors.errors.json"),
    ],
)
def test_a_csv_and_a_ready_start_something(key: str, stem: str, settings: str | None, errors: str) -> None:
    trigger = trigger_of(key)
    assert trigger is not None
    assert (trigger.stem, trigger.settings_key, trigger.errors_key) == (stem, settings, errors)


@pytest.mark.parametrize(
    "key",
    [
        "drop/", "drop/folder/", "drop/.csv", "drop/a/.csv", "drop/.hidden.csv", "drop/.hidden/a.csv", "drop/a//b.csv",
        "drop/../b.csv", "drop/film.mov", "drop/csv", "drop/a.csv.part", "drop/a.csv\n", "drop/_READY.csv.tmp",
        "drop/_ready", "drop/_READY/x", "drop/a_READY", "drop2/a.csv", "dropa.csv", "a/drop/b.csv", "",
    ],
)  # fmt: skip
def test_other_objects_start_nothing(key: str) -> None:
    assert trigger_of(key) is None


@given(STEMS, st.sampled_from(["csv", "CSV"]), st.uuids())
def test_own_output_must_not_trigger(stem: str, suffix: str, number: object) -> None:
    trigger = trigger_of(f"drop/{stem}/x.{suffix}")
    ready = trigger_of(f"drop/{stem}/_READY")
    for started in (trigger, ready):
        assert started is not None
        written = [started.errors_key, *(result_key(started.stem, f"batch_{number}", kind) for kind in ("csv", "json"))]
        assert [key for key in written if trigger_of(key)] == []


def test_results_are_never_under_what_is_watched() -> None:
    ready, at_top = trigger_of("drop/job/_READY"), trigger_of("drop/_READY")
    assert ready is not None
    assert at_top is not None
    assert result_key(ready.stem, "batch_1", "json") == "results/job/batch_1.json"
    assert result_key(at_top.stem, "batch_1", "csv") == "results/batch_1.csv"


@given(
    st.dictionaries(STEMS, st.lists(WORD, min_size=1, max_size=3, unique=True), min_size=1, max_size=5), st.randoms()
)
def test_each_dub_is_paired_with_the_master_of_its_name(jobs: dict[str, list[str]], random: object) -> None:
    names = [f"{stem}.master.mov" for stem in jobs]
    names += [f"{stem}.dub.{language}.wav" for stem, languages in jobs.items() for language in languages]
    random.shuffle(names)  # type: ignore[attr-defined]
    paired = pair_up(names)
    assert paired.problems == {}
    assert {(pair.name, pair.language) for pair in paired.pairs} == {
        (stem, language) for stem, languages in jobs.items() for language in languages
    }
    assert {pair.master for pair in paired.pairs} == {f"{stem}.master.mov" for stem in jobs}
    assert paired == pair_up(sorted(names))


@given(st.lists(st.sampled_from(["a", "b", "c.d"]).flatmap(
    lambda stem: st.sampled_from([f"{stem}.master.mov", f"{stem}.master.wav", f"{stem}.dub.de.wav", f"{stem}.wav"])
), unique=True))  # fmt: skip
def test_every_file_is_in_a_pair_or_is_said_to_be_in_none(names: Sequence[str]) -> None:
    paired = pair_up(names)
    used = {name for pair in paired.pairs for name in (pair.master, pair.dub)}
    assert used | set(paired.problems) == set(names)
    assert used & set(paired.problems) == set()


def test_masters_without_dubs_and_dubs_without_a_master_are_named() -> None:
    names = ["a.master.mov", "b.dub.de.wav", "c.master.mov", "c.master.wav", "c.dub.fr.wav", "d.wav", "e.dub.it"]
    paired = pair_up([*names, "f.master.mov", "f.dub.fr.wav", "_READY", ".DS_Store", "notes.txt", "_READY.json"])
    assert paired.pairs == (Pair("f", "fr", "f.master.mov", "f.dub.fr.wav"),)
    assert set(paired.problems) == set(names)
    assert "without a dub" in paired.problems["a.master.mov"]
    assert "without a master" in paired.problems["b.dub.de.wav"]
    for name in ("c.master.mov", "c.master.wav", "c.dub.fr.wav"):
        assert "2 masters named c" in paired.problems[name]
    assert "named neither" in paired.problems["d.wav"]
    assert "named neither" in paired.problems["e.dub.it"]


def test_names_may_hold_what_the_endings_hold() -> None:
    assert pair_up(["x.dub.master.wav", "x.dub.dub.de.wav"]).pairs == (
        Pair("x.dub", "de", "x.dub.master.wav", "x.dub.dub.de.wav"),
    )
    assert pair_up(["x.MASTER.MOV", "x.Dub.de.WAV"]).pairs == (Pair("x", "de", "x.MASTER.MOV", "x.Dub.de.WAV"),)
