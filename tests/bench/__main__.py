"""`python -m tests.bench [throughput] [long-pair] [idle] [embedders]`: run benchmarks and show them.

A run of all of them is written to docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
from importlib import import_module

from tests.bench.report import Section, show, write_page

NAMES = ("throughput", "long-pair", "idle", "embedders")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="|".join(NAMES), help="which to run; default: all")
    names = parser.parse_args().names or list(NAMES)
    if unknown := set(names) - set(NAMES):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    sections = []
    for name in names:
        sections.append(_measure(name))
        show(sections[-1])
    if names == list(NAMES):
        write_page(sections)


def _measure(name: str) -> Section:
    section: Section = import_module(f"tests.bench.{name.replace('-', '_')}").measure()
    return section


if __name__ == "__main__":
    main()
