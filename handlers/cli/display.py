"""What the terminal shows: progress bars, one result, a table of results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from sync_core.reports.verdict_text import advice, headline

Document = Mapping[str, Any]

_COLOURS = {"in_sync": "green", "offset": "yellow", "drift": "yellow", "edited": "yellow", "no_match": "red"}


@contextmanager
def progress_bars(console: Console, *, counted: bool = False) -> Iterator[Progress]:
    """Show bars while a long piece of work runs; `counted` shows how many of how many instead of percent."""
    amount = MofNCompleteColumn() if counted else TextColumn("{task.percentage:>3.0f} %")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), amount, TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        yield bars


def show_result(console: Console, result: Document) -> None:
    """Show one result: the answer first, then what it rests on."""
    colour = _COLOURS.get(result["verdict"], "white")
    title = Text(headline(result), style=f"bold {colour}")
    parts: list[RenderableType] = [title, Text(advice(result)), _facts(result)]
    if result["verdict"] == "edited":
        parts.append(segments_table(result["segments"]))
    parts += [Text(f"Note: {note}", style="dim") for note in result["notes"]]
    console.print(Panel(Group(*parts), border_style=colour, expand=False))


def _facts(result: Document) -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_row("Confidence", f"{100 * result['confidence']:.1f} %{_precision(result)}")
    if result["offset_seconds"] is not None:
        facts.add_row("Offset", f"{result['offset_seconds']:+.6f} s{_timecode(result)}")
        facts.add_row("Speed", f"{result['speed_ratio']:.7f} ({result['drift_ppm']:+.1f} ppm){_rate(result)}")
    for candidate in result["candidates"]:
        facts.add_row("Also fits", f"{candidate['offset_seconds']:+.3f} s, {100 * candidate['confidence']:.0f} %")
    facts.add_row("Found by", result["method_used"] or "no method")
    for entry in result["methods"]:
        found = f"{entry['offset_seconds']:+.4f} s" if entry["ok"] else (entry["error"] or "refused")
        facts.add_row("", Text(f"{entry['label']}: {found}", style="dim"))
    return facts


def _precision(result: Document) -> str:
    width = result["precision_seconds"]
    return f", precise to ±{max(1000 * width, 0.01):.2f} ms" if width is not None else ""


def _timecode(result: Document) -> str:
    return f"  ({result['timecode']})" if result["timecode"] else ""


def _rate(result: Document) -> str:
    return f"  {result['rate_label']}" if result["rate_label"] else ""


def segments_table(segments: list[Document]) -> Table:
    """Show the parts of an edited dub in its order."""
    table = Table("Dub from", "to", "offset", "speed", "confidence", "kind", box=None)
    for part in segments:
        known = part["offset_seconds"] is not None
        table.add_row(
            clock_time(part["dub_start"]),
            clock_time(part["dub_end"]),
            f"{part['offset_seconds']:+.4f} s" if known else "none",
            f"{part['speed_ratio']:.6f}" if known else "",
            f"{100 * part['confidence']:.0f} %",
            part["kind"],
        )
    return table


def clock_time(seconds: float) -> str:
    """Write seconds as hours, minutes and seconds.

    Examples
    --------
    >>> clock_time(3725.25)
    '1:02:05.250'
    """
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:06.3f}"


def results_table(results: list[Document]) -> Table:
    """Show the results of a batch, one line an item."""
    table = Table("item", "dub", "answer", "confidence", "method")
    for item in results:
        result, failed = item["result"], item["status"] == "failed"
        answer = f"{item['error_code']}: {item['error']}" if failed else headline(result) if result else item["status"]
        table.add_row(
            item["item_id"],
            item["dub_file"].rsplit("/", 1)[-1],
            Text(answer, style="red" if failed else _COLOURS.get(result["verdict"], "") if result else "dim"),
            f"{100 * result['confidence']:.0f} %" if result else "",
            (result["method_used"] or "") if result else "",
        )
    return table
