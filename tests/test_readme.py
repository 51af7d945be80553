"""The README tells the truth about settings, commands and files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from handlers.settings import CommonSettings, ServeSettings, WebhookSettings, WorkerSettings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def documented() -> dict[str, str]:
    """Each variable of the README's table with its line."""
    lines = re.findall(r"^\| `(SYNC_\w+)` .*$", README, re.MULTILINE)
    assert lines, "the README has no settings table"
    return {name: re.search(rf"^\| `{name}` .*$", README, re.MULTILINE)[0] for name in lines}


def fields() -> dict[str, object]:
    return {
        f"SYNC_{name.upper()}": field
        for kind in (CommonSettings, ServeSettings, WorkerSettings, WebhookSettings)
        for name, field in kind.model_fields.items()
    }


def test_every_setting_is_documented_and_nothing_else():
    assert set(documented()) - {"SYNC_API_URL"} == set(fields())


@pytest.mark.parametrize("name", [name for name, field in fields().items() if field.default_factory is None])
def test_documented_default_is_the_default(name):
    default = fields()[name].default
    shown = "" if default is None else str(default).lower() if isinstance(default, bool) else f"{default}"
    assert f"| `{shown}` |" in documented()[name] or (default is None and "| unset |" in documented()[name])


def test_every_file_that_the_readme_links_to_exists():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_make_target_that_the_readme_names_exists():
    named = set(re.findall(r"(?:`|^    )make ([a-z-]+)", README, re.MULTILINE))
    assert {"run", "test"} <= named
    makefile = (ROOT / "Makefile").read_text()
    assert [target for target in named if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []
