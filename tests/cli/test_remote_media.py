"""`analyze` and `batch run` with media in S3: of an emulator, by AWS's own variables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.aws_emulators import REGION, emulator
from tests.cli.conftest import Run


@pytest.fixture(scope="module")
def aws() -> dict[str, str]:
    """Give the variables that lead to the emulator."""
    return {
        "AWS_ENDPOINT_URL": emulator("ministack").endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
    }


@pytest.fixture
def bucket(studio: Path) -> Iterator[str]:
    s3, name = emulator("ministack").client("s3"), f"studio-{uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    for path in (studio / "master.wav", studio / "late.wav"):
        s3.put_object(Bucket=name, Key=path.name, Body=path.read_bytes())
    return name


def test_analyze_reads_objects_and_files(run_process: Run, bucket: str, aws: dict[str, str]) -> None:
    ended = run_process("analyze", "master.wav", f"s3://{bucket}/late.wav", "--json", **aws)
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert result["offset_seconds"] == pytest.approx(-0.5, abs=0.001)
    assert result["media"]["master"]["fetched"] is None
    assert result["media"]["dub"]["fetched"]["requests"] >= 1


def test_analyze_says_what_is_not_there(run_process: Run, bucket: str, aws: dict[str, str]) -> None:
    ended = run_process("analyze", "master.wav", f"s3://{bucket}/absent.wav", **aws)
    assert ended.returncode == 1
    assert f"s3://{bucket}/absent.wav does not exist" in ended.stderr


def test_a_batch_reads_objects(run_process: Run, bucket: str, aws: dict[str, str], studio: Path) -> None:
    (studio / "pairs.csv").write_text(f"master_file,dub_file\ns3://{bucket}/master.wav,s3://{bucket}/late.wav\n")
    ended = run_process("batch", "run", "pairs.csv", "--output", "results.json", **aws)
    assert ended.returncode == 0, ended.stderr
    (item,) = json.loads((studio / "results.json").read_text())["results"]
    assert item["master_file"] == f"s3://{bucket}/master.wav"
    assert item["result"]["offset_seconds"] == pytest.approx(-0.5, abs=0.001)


def test_https_is_off(run_process: Run) -> None:
    ended = run_process("analyze", "master.wav", "https://media.example.com/late.wav")
    assert ended.returncode == 1
    assert "SYNC_HTTPS_MEDIA=true switches it on" in ended.stderr


def test_where_https_is_on_the_own_network_is_not_read(run_process: Run) -> None:
    ended = run_process("analyze", "master.wav", "https://169.254.169.254/latest/meta-data", SYNC_HTTPS_MEDIA="true")
    assert ended.returncode == 1
    assert "not on the public internet" in ended.stderr
