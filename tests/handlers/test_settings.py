"""Settings are read from the environment once, and say which variable is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from handlers.settings import ApiSettings, ServeSettings, WorkerSettings, read_settings
from sync_core.domain.errors import ConfigurationError


def test_media_roots_are_read_from_a_json_list(monkeypatch):
    monkeypatch.setenv("SYNC_MEDIA_ROOTS", '["/srv/media", "/mnt/b"]')
    monkeypatch.setenv("SYNC_DATA_DIR", "/srv/data")
    assert read_settings(ApiSettings).media_policy.roots == ("/srv/media", "/mnt/b", "/srv/data/drop")


@pytest.mark.parametrize(
    ("settings", "drop", "results"),
    [
        ({}, "/srv/data/drop", "/srv/data/results"),
        ({"SYNC_DROP_DIR": "/films/in"}, "/films/in", "/films/results"),
        ({"SYNC_DROP_DIR": "/films/in", "SYNC_RESULTS_DIR": "/films/out"}, "/films/in", "/films/out"),
        ({"SYNC_BACKEND": "aws"}, None, None),
        ({"SYNC_BACKEND": "aws", "SYNC_DROP_DIR": "/films/in"}, "/films/in", "/films/results"),
    ],
)
def test_the_drop_folder_needs_no_setting_on_one_machine(monkeypatch, settings, drop, results):
    for name, value in {"SYNC_DATA_DIR": "/srv/data", **settings}.items():
        monkeypatch.setenv(name, value)
    read = read_settings(ServeSettings)
    assert (read.watched_dir, read.written_dir) == (drop and Path(drop), results and Path(results))
    assert drop is None or drop in read.media_policy.roots


@pytest.mark.parametrize("results", ["/films/in", "/films/in/results", "/films"])
def test_results_are_never_written_under_what_is_watched(monkeypatch, results):
    monkeypatch.setenv("SYNC_DROP_DIR", "/films/in")
    monkeypatch.setenv("SYNC_RESULTS_DIR", results)
    with pytest.raises(ConfigurationError, match="SYNC_RESULTS_DIR"):
        read_settings(ServeSettings)


def test_the_drop_folder_keeps_its_name_when_the_data_folder_is_moved(monkeypatch):
    names = set()
    for folder in ("/srv/a", "/srv/b"):
        monkeypatch.setenv("SYNC_DATA_DIR", folder)
        names.add(read_settings(ServeSettings).drop_source)
    monkeypatch.setenv("SYNC_DROP_DIR", "/films/in")
    assert len(names) == 1
    assert read_settings(ServeSettings).drop_source not in names


def test_without_settings_the_sample_paths_and_the_working_directory_are_allowed(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    policy = read_settings(ApiSettings).media_policy
    assert policy.roots == ("/mnt/data", str(tmp_path))
    assert policy.relative_to == str(tmp_path)


def test_an_override_wins_and_none_leaves_the_environment(monkeypatch):
    monkeypatch.setenv("SYNC_SLOTS", "5")
    assert read_settings(WorkerSettings, slots=None).slots == 5
    assert read_settings(WorkerSettings, slots=7).slots == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SYNC_LEASE_SECONDS", "-1"),
        ("SYNC_SLOTS", "many"),
        ("SYNC_MEDIA_ROOTS", '["relative/folder"]'),
        ("SYNC_BACKEND", "postgres"),
    ],
)
def test_a_wrong_value_names_its_variable(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        read_settings(WorkerSettings)


def test_media_roots_that_are_no_json_are_refused_with_a_sentence(monkeypatch):
    monkeypatch.setenv("SYNC_MEDIA_ROOTS", "/srv/media")
    with pytest.raises(ConfigurationError, match="media_roots"):
        read_settings(WorkerSettings)


def test_messages_must_outlast_attempts(monkeypatch):
    monkeypatch.setenv("SYNC_MAX_RECEIVES", "5")
    with pytest.raises(ConfigurationError, match="SYNC_MAX_RECEIVES must be at least three times"):
        read_settings(WorkerSettings)


def test_the_heartbeat_always_fits_into_the_lease(monkeypatch):
    monkeypatch.setenv("SYNC_LEASE_SECONDS", "3")
    assert read_settings(WorkerSettings).attempt_policy.heartbeat_seconds == pytest.approx(1.0)
