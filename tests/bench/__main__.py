"""`python -m tests.bench [throughput] [long-pair] [idle] [embedders]`: run benchmarks and show them.

A run of all of them is written to docs/benchmarks.md.
"""

from __future__ import annotations

import argparse

from tests.bench import embedders, idle, long_pair, throughput
from tests.bench.report import show, write_page

BENCHMARKS = {
    "throughput": throughput.measure,
    "long-pair": long_pair.measure,
    "idle": idle.measure,
    "embedders": embedders.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="|".join(BENCHMARKS), help="which to run; default: all")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    names = arguments.names or list(BENCHMARKS)
    sections = []
    for name in names:
        sections.append(BENCHMARKS[name]())
        show(sections[-1])
    if names == list(BENCHMARKS):
        write_page(sections)


if __name__ == "__main__":
    main()
