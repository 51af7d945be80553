"""Asks for a batch's status at a modest rate until standard input ends, then prints how long each answer took.

A process of its own: in another one, that one's work would be measured as well.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

EVERY_SECONDS = 0.05


class Latencies:
    """How long answers took, once the probe has ended."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def quantile_ms(self, share: float) -> float:
        return 1000 * sorted(self.seconds)[min(int(share * len(self.seconds)), len(self.seconds) - 1)]


@contextlib.contextmanager
def probing(url: str) -> Iterator[Latencies]:
    """Probe an address until the end of the block; the latencies are there after it."""
    latencies = Latencies()
    command = [sys.executable, "-m", "tests.bench.status_probe", url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield latencies
        output, _ = process.communicate()
    latencies.seconds = json.loads(output)


def main() -> None:
    address = urlsplit(sys.argv[1])
    stop = threading.Event()
    threading.Thread(target=_set_at_end_of_stdin, args=(stop,), daemon=True).start()
    connection = http.client.HTTPConnection(address.netloc, timeout=30)
    seconds = []
    while not stop.wait(EVERY_SECONDS):
        began = time.perf_counter()
        connection.request("GET", address.path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == http.client.OK
        seconds.append(time.perf_counter() - began)
    sys.stdout.write(json.dumps(seconds))


def _set_at_end_of_stdin(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


if __name__ == "__main__":
    main()
