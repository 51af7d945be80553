"""Settings are read from the environment once, and say which variable is wrong."""

from __future__ import annotations

import pytest

from handlers.settings import ApiSettings, WorkerSettings, read_settings
from sync_core.domain.errors import ConfigurationError


def test_media_roots_are_read_from_a_json_list(monkeypatch):
    monkeypatch.setenv("SYNC_MEDIA_ROOTS", '["/srv/media", "/mnt/b"]')
    assert read_settings(ApiSettings).media_policy.roots == ("/srv/media", "/mnt/b")


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
