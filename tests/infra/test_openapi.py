"""docs/openapi.json is what the routes say."""

from __future__ import annotations

import json
from pathlib import Path

from handlers.api.main import app

STORED = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_stored_description_is_the_routes_own():
    assert json.loads(STORED.read_text()) == json.loads(json.dumps(app.openapi())), "run: make openapi"
