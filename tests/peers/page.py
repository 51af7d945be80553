"""docs/peers.md, from what was measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from tests.peers import kept
from tests.peers.accuracy import Outcome
from tests.peers.catalogue import OURS, PEERS, QUICK
from tests.peers.measure import MEMORY_LIMIT_BYTES
from tests.peers.speed import DECODE, FFMPEG, ROUNDS, Timing
from tests.peers.summary import HIT_SECONDS, WITHIN_SECONDS, hits, matching, separation, unmatched

PAGE = Path(__file__).parents[2] / "docs" / "peers.md"
_MB = 1e6


def write() -> None:
    """Write the page anew from what is kept."""
    accuracy = kept.accuracy()
    speeds = [speed for minutes in ROUNDS if (speed := kept.speed(minutes))]
    measured = [*(accuracy.outcomes if accuracy else []), *(timing for speed in speeds for timing in speed.timings)]
    lines = [*_head(), *_programs(accuracy.absent if accuracy else {}, measured)]
    if accuracy:
        lines += [*_overall(accuracy), *_families(accuracy.outcomes), *_scores(accuracy.outcomes)]
    if speeds:
        lines += ["", "## Speed", "", *_how_timed()]
    for speed in speeds:
        lines += _speed(speed)
    PAGE.write_text("\n".join([*lines, *_behind(accuracy.outcomes if accuracy else [], speeds), ""]))


def _head() -> list[str]:
    return [
        "# Peers",
        "",
        "What others offer, measured on the same files as this program, each as a whole process from start to exit.",
        "Written by `make bench-peers`; `make bench-peers ARGS=--speed` takes the times anew.",
        "",
        (
            f"Machine: {os.cpu_count()} cores ({_processor()}), Python {platform.python_version()}; shared with "
            "other work, so read times as ratios within one table, and mind the load beside them."
        ),
    ]


def _processor() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0].split(":", 1)[1].strip() if names else platform.machine()


def _programs(absent, measured: Sequence[Outcome | Timing]) -> list[str]:
    versions = {peer.name: [one.version for one in measured if one.program == peer.name] for peer in (OURS, *PEERS)}
    rows = [
        (
            peer.name,
            ", ".join(dict.fromkeys(versions.get(peer.name, ()))) or peer.version,
            f"`{peer.call}`",
            peer.remark,
        )
        for peer in (OURS, QUICK, *PEERS)
    ]
    left_out = [f"- {name} was left out: {reason}." for name, reason in absent.items()]
    return [
        "",
        "## Programs",
        "",
        (
            "Every peer first has to find +1.234 s and -1.234 s in one programme cut twice, so that its sign is "
            "known; one that cannot is left out. All its dependencies are pinned in `tests/peers/`."
        ),
        "",
        *_table(("program", "version", "call", "remark"), rows),
        *(["", *left_out] if left_out else []),
    ]


def _overall(accuracy: kept.Accuracy) -> list[str]:
    outcomes = accuracy.outcomes
    pairs = {outcome.case: outcome for outcome in outcomes}.values()
    return [
        "",
        "## Accuracy",
        "",
        (
            f"Corpus: {accuracy.corpus}, {len(pairs)} pairs, of which {len(unmatched(list(pairs)))} don't match. "
            f"{accuracy.date}. A program is right where its offset is that of any part of the dub, so that one "
            "number for an edited dub can be right; the error is what exceeds the truth's own tolerance."
        ),
        "",
        *_table(
            (
                "program",
                "within 1 / 10 / 40 ms, %",
                "median error of hits, ms",
                "offset for a pair without a match",
                "neither offset nor refusal",
                "CPU s per pair, median",
                "memory, most, MB",
            ),
            [_overall_row(name, group) for name, group in _by(outcomes, "program")],
        ),
        "",
        "CPU time includes start-up; memory is anonymous memory of the process tree.",
    ]


def _overall_row(name: str, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    true, false = matching(outcomes), unmatched(outcomes)
    good = hits(true)
    errors = [1000 * outcome.error_seconds for outcome in good if outcome.error_seconds is not None]
    return (
        name,
        " / ".join(f"{100 * len(hits(true, within)) / len(true):.0f}" for within in WITHIN_SECONDS),
        f"{median(errors):.3f}" if errors else "",
        f"{sum(outcome.answered for outcome in false)} of {len(false)}",
        _failures([outcome.failure for outcome in outcomes]),
        f"{median(outcome.cpu_seconds for outcome in outcomes):.1f}",
        f"{max(outcome.anonymous_bytes for outcome in outcomes) / _MB:.0f}",
    )


def _failures(reasons: Sequence[str]) -> str:
    counts = {reason: reasons.count(reason) for reason in dict.fromkeys(reasons) if reason}
    return ", ".join(f"{count} ({reason})" for reason, count in counts.items()) or "0"


def _families(outcomes: Sequence[Outcome]) -> list[str]:
    names = [name for name, _ in _by(outcomes, "program")]
    rows = []
    for family, group in _by(matching(outcomes), "family"):
        by_program = dict(_by(group, "program"))
        cells = ["/".join(str(len(hits(by_program[name], within))) for within in WITHIN_SECONDS) for name in names]
        rows.append((family, str(len(by_program[names[0]])), *cells))
    return [
        "",
        "### Hits per family",
        "",
        "Pairs that match, and how many of them are within 1/10/40 ms.",
        "",
        *_table(("family", "pairs", *names), rows),
    ]


def _scores(outcomes: Sequence[Outcome]) -> list[str]:
    rows = []
    for name, group in _by(outcomes, "program"):
        found = separation(group)
        if found:
            spans = (f"{low:.3g} to {high:.3g}" for low, high in (found.hits, found.false))
            rows.append((name, *spans, f"{100 * found.ranked_right:.0f} %", f"{100 * found.kept:.0f} %"))
    return [
        "",
        "### Can a threshold refuse?",
        "",
        (
            f"Scores of hits (within {1000 * HIT_SECONDS:.0f} ms) against scores that came with an offset for a pair "
            "without a match. A program that gave no such offset, or gives no score, isn't here. *Ranked right* is "
            "the share of (hit, false match) pairs in which the hit scores higher, 50 % being chance; *kept* is the "
            "share of the hits that remain with a threshold that refuses all false matches of this very corpus."
        ),
        "",
        *_table(("program", "scores of hits", "of false matches", "ranked right", "kept"), rows),
    ]


def _how_timed() -> list[str]:
    return [
        (
            "Stereo WAV pairs, 48 kHz, 16 bit, another language over the same music and effects, the dub 2.456292 s "
            "late, each minute laid out anew. Times of whole processes, start-up and imports included, in turns; "
            f"files in the page cache. *ffmpeg* is `{DECODE}` for the one file and then for the other. Memory is "
            f"anonymous memory of the process tree, seen every 50 ms; over {MEMORY_LIMIT_BYTES / 1e9:.0f} GB a "
            "program is stopped. Ratios are of medians."
        ),
    ]


def _speed(speed: kept.Speed) -> list[str]:
    groups = dict(_by(speed.timings, "program"))
    ours, decoding = _wall(groups.get(OURS.name, [])), _wall(groups[FFMPEG])
    loads = [timing.load for timing in speed.timings]
    return [
        "",
        f"### {speed.minutes} minutes",
        "",
        f"{speed.date}; before single runs it was {min(loads):.1f} to {max(loads):.1f}.",
        "",
        *_table(
            (
                "program",
                "runs",
                "wall s, min / median / max",
                "CPU s, median",
                "wall, this program = 1",
                "wall, ffmpeg = 1",
                "memory, MB",
                "error, ms",
            ),
            [_speed_row(name, group, ours, decoding) for name, group in groups.items()],
        ),
    ]


def _speed_row(name: str, timings: Sequence[Timing], ours: float | None, decoding: float | None) -> tuple[str, ...]:
    memory = f"{max(timing.anonymous_bytes for timing in timings) / _MB:.0f}"
    wall = _wall(timings)
    if wall is None:
        return (name, str(len(timings)), f"stopped: {timings[-1].failure}", "", "", "", memory, "")
    walls = [timing.wall_seconds for timing in timings]
    errors = [1000 * timing.error_seconds for timing in timings if timing.error_seconds is not None]
    return (
        name,
        str(len(timings)),
        f"{min(walls):.2f} / {wall:.2f} / {max(walls):.2f}",
        f"{median(timing.cpu_seconds for timing in timings):.2f}",
        f"{wall / ours:.2f}" if ours else "",
        f"{wall / decoding:.2f}" if decoding else "",
        memory,
        f"{max(errors):.3f}" if errors else "" if name == FFMPEG else "no offset",
    )


def _wall(timings: Sequence[Timing]) -> float | None:
    done = [timing.wall_seconds for timing in timings if not timing.failure]
    return median(done) if done else None


def _behind(outcomes: Sequence[Outcome], speeds: Sequence[kept.Speed]) -> list[str]:
    items = [*_slower(speeds), *_less_right(outcomes)]
    return ["", "## Where this program is behind", "", *(f"- {item}" for item in items or ["Nowhere in these tables."])]


def _slower(speeds: Sequence[kept.Speed]) -> Iterator[str]:
    for speed in speeds:
        walls = {name: _wall(group) for name, group in _by(speed.timings, "program")}
        ours = walls.get(OURS.name)
        for name, wall in walls.items():
            if ours and wall and name not in (FFMPEG, QUICK.name) and wall < ours:
                yield f"{speed.minutes} minutes: {name} takes {wall / ours:.2f} times as long."


def _less_right(outcomes: Sequence[Outcome]) -> Iterator[str]:
    for family, group in _by(matching(outcomes), "family"):
        by_program = dict(_by(group, "program"))
        for within in WITHIN_SECONDS:
            ours = len(hits(by_program.get(OURS.name, []), within))
            better = {name: len(hits(them, within)) for name, them in by_program.items()}
            ahead = ", ".join(f"{name} {count}" for name, count in better.items() if count > ours)
            if ahead:
                yield f"{family}, within {1000 * within:.0f} ms: {ours} hits of ours, {ahead}."


def _by(rows: Sequence, attribute: str) -> list[tuple[str, list]]:
    """Group rows, in the order in which the groups first come."""
    groups: dict[str, list] = {}
    for row in rows:
        groups.setdefault(getattr(row, attribute), []).append(row)
    return list(groups.items())


def _table(head: tuple[str, ...], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_row(head), "|" + "---|" * len(head), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
