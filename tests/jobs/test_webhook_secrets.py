"""Secrets for webhooks: made at random, read from one text, refused without being repeated."""

from __future__ import annotations

import base64

import pytest
from standardwebhooks import Webhook

from sync_core.domain.errors import ConfigurationError
from sync_core.jobs.webhook_secrets import new_secret, parse_secrets

BARE = "".join(chr(ord("a") + number % 26) for number in range(44))


def test_a_new_secret_is_one_of_its_kind_and_the_reference_library_takes_it():
    made = {new_secret() for _ in range(50)}
    assert len(made) == 50
    for secret in made:
        assert secret.startswith("whsec_")
        assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
        assert Webhook(secret)
        assert parse_secrets(secret) == (secret,)


@pytest.mark.parametrize("between", [" ", ",", ", ", "\n", "\n\n"])
def test_several_secrets_in_one_text(between: str):
    secrets = (new_secret(), new_secret(), BARE)
    assert parse_secrets(f" {between.join(secrets)}\n") == secrets


@pytest.mark.parametrize("text", ["", "  ", "\n,"])
def test_no_secret_is_none(text: str):
    assert parse_secrets(text) == ()


@pytest.mark.parametrize(
    "bad",
    ["hunter2hunter2hunter2hunter2hunt!", "whsec_", "whsec_c2hvcnQ=", base64.b64encode(b"x" * 65).decode(), "é" * 40],
)
def test_a_bad_secret_is_refused_by_its_place_and_not_repeated(bad: str):
    with pytest.raises(ConfigurationError, match="Webhook secret 2 of 2") as refused:
        parse_secrets(f"{new_secret()} {bad}")
    assert bad.removeprefix("whsec_") not in refused.value.message or not bad.removeprefix("whsec_")
