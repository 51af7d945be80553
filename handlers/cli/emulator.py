"""AWS on this machine, as a process: `python -m handlers.cli.emulator PORT`.

It listens at 127.0.0.1 alone, keeps nothing, and ends with its standard input: with whoever started it, however that
one dies.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading

_SETTINGS = {
    "BIND_HOST": "127.0.0.1",
    "MINISTACK_HOST": "127.0.0.1",
    "IOT_MTLS_ENABLED": "0",
    "SFTP_ENABLED": "0",
    "LOG_LEVEL": "ERROR",
    "SERVICES": "cloudformation,dynamodb,s3,sqs",
}


def run(port: int) -> None:
    """Serve until standard input ends."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    os.environ.update(_SETTINGS, GATEWAY_PORT=str(port))
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app  # reads the settings when it is imported

    config = Config()
    config.bind, config.loglevel = [f"127.0.0.1:{port}"], "ERROR"
    asyncio.run(serve(app, config))


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    run(int(sys.argv[1]))
