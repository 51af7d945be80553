"""What was measured, as a table in the terminal and as docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

_HEADING = "\n## "
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity. `reached` is None where there is no target."""

    what: str
    measured: str
    target: str = ""
    reached: bool | None = None

    @property
    def mark(self) -> str:
        return {None: "", True: "yes", False: "NO"}[self.reached]


@dataclass(frozen=True, slots=True)
class Section:
    """The figures of one benchmark, and how they were taken."""

    name: str
    how: str
    figures: tuple[Figure, ...]


def at_most(what: str, value: float, limit: float, unit: str, *, detail: str = "") -> Figure:
    return Figure(what, f"{value:.4g} {unit}{detail}", f"at most {limit:g} {unit}", value <= limit)


def at_least(what: str, value: float, limit: float, unit: str, *, detail: str = "") -> Figure:
    return Figure(what, f"{value:.4g} {unit}{detail}", f"at least {limit:g} {unit}", value >= limit)


def spread(values: Sequence[float], unit: str) -> str:
    """Write least, median and most."""
    return f"{min(values):.2f} / {statistics.median(values):.2f} / {max(values):.2f} {unit} (min / median / max)"


def show(section: Section) -> None:
    table = Table("quantity", "measured", "target", "reached", title=section.name)
    for figure in section.figures:
        table.add_row(figure.what, figure.measured, figure.target, figure.mark)
    Console().print(table)


def write_page(sections: Sequence[Section]) -> None:
    """Put what was measured into the page, and leave the other sections as they are."""
    head = (
        '# Benchmarks\n\nWritten by `make bench`; some of them anew: `make bench ARGS="throughput idle"`.\n\n'
        f"Machine: {_machine()}\n"
    )
    before = PAGE.read_text().split(_HEADING)[1:] if PAGE.exists() else []
    texts = {text.partition("\n")[0]: text for text in before}
    texts |= {section.name: _text(section) for section in sections}
    PAGE.write_text(_HEADING.join([head, *texts.values()]))


def _text(section: Section) -> str:
    rows = [f"| {figure.what} | {figure.measured} | {figure.target} | {figure.mark} |" for figure in section.figures]
    table = ["| quantity | measured | target | reached |", "|---|---|---|---|", *rows]
    return "\n".join([section.name, "", section.how, "", *table, ""])


def _machine() -> str:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in _read("/proc/cpuinfo").splitlines()
            if line.startswith("model name")
        ),
        platform.processor() or "unknown processor",
    )
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
