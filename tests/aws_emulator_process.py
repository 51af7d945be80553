"""One AWS emulator as a process: `python -m tests.aws_emulator_process NAME PORT`.

Its clock can be put forward: each line on standard input is a number of seconds. It ends with its standard input, and
so with whoever started it, however that one dies.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable

_real_time = time.time
_ahead_seconds = 0.0


def ahead_time() -> float:
    return _real_time() + _ahead_seconds


def follow_stdin() -> None:
    global _ahead_seconds
    for line in sys.stdin:
        _ahead_seconds += float(line)
        print("ok", flush=True)
    os._exit(0)


def run_ministack(port: int) -> None:
    os.environ |= {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "ERROR",
        "SERVICES": "dynamodb,s3,secretsmanager,sqs",
        "SFTP_ENABLED": "0",
    }
    time.time = ahead_time
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    config = Config()
    config.bind, config.loglevel = [f"127.0.0.1:{port}"], "ERROR"
    asyncio.run(serve(app, config))


def run_moto(port: int) -> None:
    import moto.core.utils
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, run_simple

    def ahead_now() -> dt.datetime:
        return dt.datetime.fromtimestamp(ahead_time(), dt.UTC).replace(tzinfo=None)

    moto.core.utils.utcnow = ahead_now
    app, one_at_a_time = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def in_turn(environ: dict, start_response: Callable) -> Iterable[bytes]:
        """Answer one request after the other: moto's transactions are not atomic beside others."""
        with one_at_a_time:
            return app(environ, start_response)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    run_simple("127.0.0.1", port, in_turn, threaded=True)


if __name__ == "__main__":
    threading.Thread(target=follow_stdin, daemon=True).start()
    {"ministack": run_ministack, "moto": run_moto}[sys.argv[1]](int(sys.argv[2]))
