"""From nothing to the first answer of the API on Lambda, beside the least that such a function can be."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from sync_core.backends.aws.open import open_backend
from sync_core.backends.aws.resources import AwsResources
from sync_core.domain.batch import Batch, BatchStatus, Counters, ItemRequest, Priority
from sync_core.domain.ids import new_batch_id
from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.jobs.ports.clock import SystemClock
from tests.aws_emulators import REGION, Emulator, emulator, make_resources
from tests.bench.report import Figure, Section, at_most, spread

ROOT = Path(__file__).parents[2]
STARTS = 9
LIMIT = 1.8
_PATIENCE_SECONDS = 60.0
_RUNTIME = "awslambdaric==4.2.2"
_RIE = "samcli/local/rapid/aws-lambda-rie-x86_64"
_INVOKE = "/2015-03-31/functions/function/invocations"
_HOW = (
    "The first answer of `handlers.api.lambda_entry.handler`, out of the folder that `infra/build-lambda.sh` makes, in "
    "the Lambda runtime emulator with `awslambdaric`: process start, imports, one GetItem of a batch's status. Beside "
    f"it, in turn, {STARTS} times each: a function of FastAPI, Mangum and boto3 with one route that does the same "
    "GetItem (`tests/bench/bare_function.py`). Neither folder holds compiled files, as on Lambda."
)


@dataclass(frozen=True, slots=True)
class Function:
    """A folder as Lambda unpacks it, and the name of the handler in it."""

    folder: Path
    handler: str


def measure() -> Section:
    """Build both functions, then start each of them anew and anew."""
    with TemporaryDirectory(prefix="sync-bench-") as name:
        folder, running = Path(name), emulator("ministack")
        rie, ours, bare = _fetch_rie(folder), _build_ours(folder), _build_bare(folder)
        resources = make_resources(running, max_receives=12)
        batch_id = asyncio.run(_store_batch(running, resources))
        environment = _environment(running, resources, folder)
        seconds: dict[str, list[float]] = {"ours": [], "bare": []}
        for _ in range(STARTS):
            seconds["ours"].append(_first_answer(rie, ours, environment, batch_id))
            seconds["bare"].append(_first_answer(rie, bare, environment, batch_id))
    return Section("Cold start on Lambda", _HOW, tuple(_figures(seconds["ours"], seconds["bare"])))


def _fetch_rie(folder: Path) -> Path:
    """Take the runtime emulator out of the wheel of SAM's command line, which brings it along."""
    pinned = next(line for line in (ROOT / "infra" / "lint-aws.txt").read_text().splitlines() if "aws-sam-cli" in line)
    _pip("download", "--no-deps", "--dest", str(folder), pinned)
    (wheel,) = folder.glob("aws_sam_cli*.whl")
    with zipfile.ZipFile(wheel) as archive:
        rie = Path(archive.extract(_RIE, folder))
    rie.chmod(0o755)
    return rie


def _build_ours(folder: Path) -> Function:
    made = folder / "ours"
    made.mkdir()
    subprocess.run(
        ["sh", "infra/build-lambda.sh", sys.executable, str(made)], cwd=ROOT, check=True, capture_output=True
    )
    return Function(made, "handlers.api.lambda_entry.handler")


def _build_bare(folder: Path) -> Function:
    made = folder / "bare"
    _pip("install", "--target", str(made), "--constraint", str(ROOT / "constraints.txt"), "fastapi", "mangum", "boto3")
    shutil.copy(Path(__file__).with_name("bare_function.py"), made)
    for compiled in [*made.rglob("__pycache__")]:
        shutil.rmtree(compiled)
    return Function(made, "bare_function.handler")


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check"]
    subprocess.run(command, check=True, capture_output=True)


async def _store_batch(running: Emulator, resources: AwsResources) -> str:
    backend, now = open_backend(resources, endpoint_url=running.endpoint_url, region=REGION), SystemClock().now()
    batch = Batch(new_batch_id(now), BatchStatus.UPLOADED, Counters(1), 2, Priority.NORMAL, now)
    await backend.batch_store.create(batch, [ItemRequest("/mnt/data/m.wav", "/mnt/data/d.wav", DEFAULT_METHODS)])
    await backend.close()
    return batch.batch_id


def _environment(running: Emulator, resources: AwsResources, folder: Path) -> dict[str, str]:
    """Give what Lambda would give; `awslambdaric` is the runtime's, not the functions'."""
    urls = {str(priority): resources.queue_urls[priority] for priority in Priority}
    runtime = folder / "runtime"
    _pip("install", "--target", str(runtime), _RUNTIME)
    return {
        "AWS_ENDPOINT_URL": running.endpoint_url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "RUNTIME": str(runtime),
        "SYNC_AWS_TABLE": resources.table,
        "SYNC_AWS_BUCKET": resources.bucket,
        "SYNC_AWS_QUEUES": json.dumps(urls),
        "SYNC_AWS_DEAD_LETTERS": json.dumps(urls),
        "SYNC_MEDIA_ROOTS": '["/mnt/data"]',
        "SYNC_LOG_FORMAT": "json",
        "SYNC_METRICS_FORMAT": "emf",
    }


def _first_answer(rie: Path, function: Function, environment: dict[str, str], batch_id: str) -> float:
    """Start a function with nothing in memory, and measure from the request to its answer."""
    listen, api = _free_port(), _free_port()
    command = [
        *(str(rie), "--runtime-interface-emulator-address", f"127.0.0.1:{listen}"),
        *("--runtime-api-address", f"127.0.0.1:{api}"),
        *(sys.executable, "-S", "-m", "awslambdaric", function.handler),
    ]
    told = {**environment, "PYTHONPATH": os.pathsep.join((str(function.folder), environment["RUNTIME"]))}
    process = subprocess.Popen(
        command, env=told, cwd=function.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_until_listening(listen)
        began = time.perf_counter()
        answer = httpx.post(f"http://127.0.0.1:{listen}{_INVOKE}", json=_event(batch_id), timeout=_PATIENCE_SECONDS)
        took = time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(_PATIENCE_SECONDS)
    body = json.loads(answer.json()["body"])
    assert (body["batch_id"], body["status"]) == (batch_id, "uploaded"), body
    return took


def _wait_until_listening(port: int) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise TimeoutError("the Lambda runtime emulator does not listen")


def _event(batch_id: str) -> dict[str, object]:
    path = f"/api/v1/analysis/batch/{batch_id}/status"
    about = {"method": "GET", "path": path, "sourceIp": "192.0.2.1", "protocol": "HTTP/1.1"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "api.example"},
        "requestContext": {"stage": "$default", "http": about},
        "isBase64Encoded": False,
    }


def _figures(ours: list[float], bare: list[float]) -> Iterator[Figure]:
    ratio = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
    yield at_most("cold start against a bare function, median ratio", ratio, LIMIT, "times")
    yield Figure("cold start of the API", spread(ours, "s"))
    yield Figure("cold start of the bare function", spread(bare, "s"))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
