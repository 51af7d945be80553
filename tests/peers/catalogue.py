"""The peers, how each is called, and how its answer is read.

Sign, here and everywhere: master_time = dub_time + offset_seconds; a dub that is late has a negative offset.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from tests.peers.inputs import Inputs, both_wrapped, master_wrapped
from tests.peers.peer import HERE, Answer, Peer

WHOLE_FILE_SECONDS = "86400"
"""A day: more than any file here, for peers that must be told how much to look at."""

_SYNCSTART_EXITS = (0, 1)
"""Its entry point hands its answer to `sys.exit`, which makes it 1."""

_CLOCK = r"(\d+):(\d\d):(\d\d\.\d+)"
_ALIGNED = re.compile(rf"from\s+{_CLOCK} to\s+{_CLOCK} aligning with audio from\s+{_CLOCK} to\s+{_CLOCK}")


def _adapter(script: str) -> Callable[[Path, Inputs], list[str]]:
    """Make the command of a library: a script that calls it and prints its answer as JSON."""
    path = HERE / "adapters" / script
    return lambda bin_folder, files: [str(bin_folder / "python"), str(path), str(files.master), str(files.dub)]


def _adapter_answer(output: str, _folder: Path) -> Answer:
    document = json.loads(output.strip().splitlines()[-1])
    return Answer(document["offset_seconds"], document["score"])


def _bbc_command(bin_folder: Path, files: Inputs) -> list[str]:
    program = str(bin_folder / "audio-offset-finder")
    return [program, "--find-offset-of", str(files.dub), "--within", str(files.master), "--json"]


def _bbc_answer(output: str, _folder: Path) -> Answer:
    document = json.loads(output.strip().splitlines()[-1])
    return Answer(document["time_offset"], document["standard_score"])


def _syncstart_command(*options: str) -> Callable[[Path, Inputs], list[str]]:
    """Make its command; `-s` keeps it from opening windows, `-q` makes it print one line of CSV."""
    return lambda bin_folder, files: [
        str(bin_folder / "syncstart"), "-s", "-q", *options, str(files.master), str(files.dub)
    ]  # fmt: skip


def _syncstart_answer(output: str, _folder: Path) -> Answer:
    """Read `file to advance,seconds`: advancing the dub is a negative offset."""
    file, seconds = output.strip().splitlines()[0].rsplit(",", 1)
    return Answer(float(seconds) if Path(file).stem == "master" else -float(seconds), None)


def _sync_offset_command(bin_folder: Path, files: Inputs) -> list[str]:
    return [str(bin_folder / "sync-offset"), str(files.master), str(files.dub), "eng", "eng", WHOLE_FILE_SECONDS]


def _sync_offset_answer(output: str, _folder: Path) -> Answer:
    offset_ms = re.search(r"Best alignment offset \(raw\): (\S+) ms", output)
    strength = re.search(r"Peak correlation strength: (\S+)", output)
    assert offset_ms is not None
    assert strength is not None
    return Answer(float(offset_ms[1]) / 1000, float(strength[1]))


def _polysync_command(bin_folder: Path, files: Inputs) -> list[str]:
    return [str(bin_folder / "polysync"), "sync", "--partial", str(files.master), str(files.dub)]


def _polysync_answer(output: str, folder: Path) -> Answer:
    sidecar = json.loads(next(folder.glob("dub.*.sync.json")).read_text())
    peak = re.search(r"xc/N=([-\d.]+)", output)
    return Answer(sidecar["delta_seconds"], float(peak[1]) if peak else None)


def _describealign_command(bin_folder: Path, files: Inputs) -> list[str]:
    folders = ["--output_dir", "out", "--alignment_dir", "found"]
    return [str(bin_folder / "describealign"), str(files.master), str(files.dub), "--yes", *folders]


def _describealign_answer(_output: str, folder: Path) -> Answer:
    """Take the first stretch that it aligned, and extend its line to the dub's start."""
    text = next((folder / "found").glob("*.txt")).read_text()
    similarity = re.search(r"similarity: ([\d.]+)%", text)
    score = float(similarity[1]) if similarity else None
    aligned = _ALIGNED.search(text)
    if aligned is None:
        return Answer(None, score)
    clocks = [_seconds(*aligned.groups()[i : i + 3]) for i in range(0, 12, 3)]
    master_start, master_end, dub_start, dub_end = clocks
    return Answer(master_start - dub_start * (master_end - master_start) / (dub_end - dub_start), score)


def _seconds(hours: str, minutes: str, seconds: str) -> float:
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def _our_command(*options: str) -> Callable[[Path, Inputs], list[str]]:
    return lambda bin_folder, files: [
        str(bin_folder / "sync-analyzer"), "analyze", str(files.master), str(files.dub), "--json", *options
    ]  # fmt: skip


def _our_answer(output: str, _folder: Path) -> Answer:
    document = json.loads(output)
    return Answer(document["offset_seconds"], document["confidence"])


OURS = Peer(
    "sync-analyzer", "", "sync-analyzer analyze MASTER DUB --json", _our_command(), _our_answer,
    remark="the score is its confidence, which a refused pair has too",
)  # fmt: skip

QUICK = Peer(
    "sync-analyzer, quick", "", "sync-analyzer analyze MASTER DUB --json --depth quick",
    _our_command("--depth", "quick"), _our_answer,
    remark="timed only; looks at parts of files of half an hour and more",
)  # fmt: skip

PEERS = (
    Peer(
        "audio-offset-finder", "audio-offset-finder", "audio-offset-finder --find-offset-of DUB --within MASTER --json",
        _bbc_command, _bbc_answer,
    ),
    Peer(
        "audalign", "audalign", "audalign.recognize(MASTER, DUB, recognizer=audalign.CorrelationRecognizer())",
        _adapter("ask_audalign.py"), _adapter_answer,
    ),
    Peer(
        "syncstart, 20 s", "syncstart", "syncstart -s -q MASTER DUB",
        _syncstart_command(), _syncstart_answer, exit_codes=_SYNCSTART_EXITS,
        remark="looks at the first 20 s only, which is its default; has no score",
    ),
    Peer(
        "syncstart, whole", "syncstart", f"syncstart -s -q -t {WHOLE_FILE_SECONDS} MASTER DUB",
        _syncstart_command("-t", WHOLE_FILE_SECONDS), _syncstart_answer, exit_codes=_SYNCSTART_EXITS,
        remark="has no score",
    ),
    Peer(
        "sync-offset-tool", "sync-offset-tool", f"sync-offset MASTER.mkv DUB.mkv eng eng {WHOLE_FILE_SECONDS}",
        _sync_offset_command, _sync_offset_answer, inputs=both_wrapped,
        remark="reads only Matroska files with a picture, into which the files are put before the clock starts",
    ),
    Peer(
        "audiolocate", "audiolocate", "audiolocate.AudioFingerprint().find_match(MASTER, DUB)",
        _adapter("ask_audiolocate.py"), _adapter_answer,
        remark="says whether it found anything; the score is its count of matching landmarks",
    ),
    Peer(
        "polysync", "polysync", "polysync sync --partial MASTER DUB",
        _polysync_command, _polysync_answer,
        remark="without `--partial` it refuses short files",
    ),
    Peer(
        "describealign", "describealign", "describealign MASTER.mkv DUB --yes",
        _describealign_command, _describealign_answer, inputs=master_wrapped,
        refuses_with="are the input files mismatched?",
        remark=(
            "lays the dub under the picture and writes the film and a plot, which is in its time; wants a picture, "
            "which the master is given before the clock starts; its report is in whole milliseconds"
        ),
    ),
)  # fmt: skip
