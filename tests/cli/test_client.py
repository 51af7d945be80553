"""The client commands against services that misbehave, and addresses of none."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator

import pytest

from tests.cli.conftest import Run

BATCH_ID = "batch_20250828_140600_a1b2c3d4"


@contextlib.contextmanager
def service_that_answers(status: int, body: str) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "returncode", "sentence"),
    [
        (200, "<html>It works!</html>", 3, "is no Sync Analyzer"),
        (404, '{"error": "Batch x not found", "error_code": "NOT_FOUND"}', 2, "Batch x not found"),
        (404, "<html>Not found</html>", 2, "status 404"),
        (500, '{"error": "Something broke.", "request_id": "8f14e45f"}', 3, "request 8f14e45f"),
        (502, "<html>Bad gateway</html>", 3, "status 502"),
        (400, '{"error": "No.", "details": [{"line": 3, "column": null, "reason": "too short"}]}', 2, "line 3, row"),
    ],
)
def test_an_odd_answer_is_told_in_a_sentence(run: Run, status, body, returncode, sentence) -> None:
    with service_that_answers(status, body) as url:
        ended = run("batch", "status", BATCH_ID, "--api", url)
    assert (ended.returncode, ended.stdout) == (returncode, "")
    assert sentence in ended.stderr


@pytest.mark.parametrize(("address", "returncode"), [("http://studio:port", 2), ("studio", 3), ("ftp://studio", 3)])
def test_an_address_that_is_none_is_told_in_a_sentence(run: Run, address: str, returncode: int) -> None:
    ended = run("batch", "status", BATCH_ID, "--api", address)
    assert ended.returncode == returncode
    assert address in ended.stderr
