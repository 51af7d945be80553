"""`python -m tests.soak [aws] [memory] [webhooks]`: go through much for a long time, with faults; ends by itself."""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections.abc import Iterator

from rich.console import Console

from handlers.cli.display import progress_bars
from tests.soak import memory, webhooks
from tests.soak.aws import Plan, Soaked, soak

NAMES = ("aws", "memory", "webhooks")
MEMORY_JOBS = 500


def main() -> None:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="|".join(NAMES), help="which to run; default: all")
    parser.add_argument("--items", type=int, default=Plan.items, help="aws: items of the batch")
    parser.add_argument("--batches", type=int, default=webhooks.Plan.batches, help="webhooks: how many batches")
    parser.add_argument("--seed", type=int, default=Plan.seed, help="what faults and deaths are drawn from")
    told = parser.parse_args()
    if unknown := set(told.names) - set(NAMES):
        parser.error(f"no such soak test: {', '.join(sorted(unknown))}")
    names = told.names or NAMES
    if "aws" in names:
        _through_aws(Plan(items=told.items, seed=told.seed))
    if "webhooks" in names:
        _webhooks(webhooks.Plan(batches=told.batches, seed=told.seed))
    if "memory" in names:
        _through_jobs()


def _through_jobs() -> None:
    console = Console()
    with progress_bars(console, counted=True) as bars:
        task = bars.add_task("pairs compared", total=MEMORY_JOBS)
        readings = asyncio.run(memory.run(MEMORY_JOBS, lambda done: bars.update(task, completed=done)))
    for line in memory.lines(readings):
        console.print(line)
    if not readings.is_flat:
        raise SystemExit(1)


def _through_aws(plan: Plan) -> None:
    console = Console()
    with progress_bars(console, counted=True) as bars:
        task = bars.add_task("items ended", total=plan.items)
        soaked = asyncio.run(soak(plan, lambda ended: bars.update(task, completed=ended)))
    for line in _lines(plan, soaked):
        console.print(line)


def _webhooks(plan: webhooks.Plan) -> None:
    console, events = Console(), webhooks.EVENTS_PER_BATCH * plan.batches
    with progress_bars(console, counted=True) as bars:
        task = bars.add_task("events taken", total=events)
        stormed = asyncio.run(webhooks.storm(plan, lambda taken: bars.update(task, completed=taken)))
    console.print(f"{events} events of {plan.batches} batches arrived, each under one id, in {stormed.seconds:.0f} s")
    console.print(f"{stormed.requests} requests, all verified by the reference library: {_listed(stormed.replies)}")
    console.print(
        f"{stormed.deaths} senders died over {stormed.lapsed} attempts; {stormed.taken_twice} events were taken again"
    )


def _lines(plan: Plan, soaked: Soaked) -> Iterator[str]:
    costs, answered = soaked.requests_of_undisturbed, soaked.answered
    yield f"{plan.items} items ended, each once, in {soaked.seconds:.0f} s"
    yield f"{plan.workers} workers at once, {soaked.deaths} of them killed; faults: {_listed(soaked.faults)}"
    yield f"attempts: {', '.join(f'{count} items took {tries}' for tries, count in sorted(soaked.attempts.items()))}"
    yield f"the {len(costs)} items that nothing disturbed: {statistics.mean(costs):.2f} requests, {max(costs)} at most"
    yield f"requests answered in all: {answered.total() / plan.items:.2f} for each item ({_listed(answered)})"
    yield f"receipts of nothing: {soaked.empty_receives}"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


if __name__ == "__main__":
    main()
