"""`python -m tests.bench [NAME...]`: take figures and show them; `--help` lists the names.

What was measured is written to docs/benchmarks.md, section by section. `gpu` is one more, which needs a GPU and runs
only by name.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module

from tests.bench.report import Figure, Section, show, write_page

NAMES = ("throughput", "long-pair", "idle", "embedders", "cold-start", "drop", "webhooks", "media")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="|".join([*NAMES, "gpu"]), help="which to run; default: all")
    names = parser.parse_args().names or list(NAMES)
    if unknown := set(names) - {*NAMES, "gpu"}:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    sections = []
    for name in names:
        sections.append(_measure(name))
        show(sections[-1])
    if "BENCH_KINDS" not in os.environ:
        write_page(sections)


def _measure(name: str) -> Section:
    """Run a benchmark; how busy the machine was with other work meanwhile belongs to its figures."""
    before = os.getloadavg()[0]
    section: Section = import_module(f"tests.bench.{name.replace('-', '_')}").measure()
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; load average {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    load = Figure("taken", when)
    return replace(section, figures=(*section.figures, load))


if __name__ == "__main__":
    main()
