"""DropStore: what was dropped is found by its version, and what is written is there wholly or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from sync_core.backends.aws.open import AwsBackend
from sync_core.backends.embedded.drop_store import EmbeddedDropStore
from sync_core.domain.media import MediaPolicy, parse_media_ref
from sync_core.jobs.ports.backend import Backend
from sync_core.jobs.ports.drop_store import DropStore

NAMES = ["a b.csv", "ü ñ 漢字.csv", "50%+20%20.csv", "quote'\"&<>.csv", "#a:1.csv", "?x=1.csv", "name.with.dots.CSV"]

Drop = Callable[[str, bytes], Awaitable[None]]


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.fixture
async def files(backend: Backend, data_dir: Path) -> DropStore:
    if isinstance(backend, AwsBackend):
        s3 = await backend.clients.s3()
        await s3.put_bucket_versioning(Bucket=backend.resources.bucket, VersioningConfiguration={"Status": "Enabled"})
        return backend.drop_store
    (data_dir / "drop").mkdir()
    return EmbeddedDropStore(data_dir / "drop", data_dir / "results", source="drop")


@pytest.fixture
def drop(files: DropStore) -> Drop:
    async def put(key: str, content: bytes) -> None:
        await files.write(key, chunks(content))

    return put


@pytest.mark.parametrize("name", NAMES)
async def test_keys_with_spaces_unicode_and_percent_are_found_and_read(files: DropStore, drop: Drop, name: str) -> None:
    key = f"drop/a folder/{name}"
    await drop(key, b"content")
    found = await files.find(key)
    assert found is not None
    assert (found.key, found.size_bytes) == (key, 7)
    assert await files.read(found) == b"content"
    assert await files.keys("drop/a folder/") == [key]


async def test_a_version_is_found_again_by_its_name_alone(files: DropStore, drop: Drop) -> None:
    await drop("drop/pairs.csv", b"one")
    found = await files.find("drop/pairs.csv")
    assert found is not None
    assert await files.find("drop/pairs.csv", found.version) == found
    assert await files.find("drop/pairs.csv", "another-version") is None


async def test_another_content_is_another_version(files: DropStore, drop: Drop) -> None:
    await drop("drop/pairs.csv", b"one")
    first = await files.find("drop/pairs.csv")
    await drop("drop/pairs.csv", b"two")
    second = await files.find("drop/pairs.csv")
    assert first is not None
    assert second is not None
    assert first.version != second.version
    assert await files.read(first) in (b"one", None), "never the content of another version"
    assert await files.read(second) == b"two"


async def test_what_is_not_there_is_not_found(files: DropStore, drop: Drop) -> None:
    await drop("drop/pairs.csv", b"one")
    found = await files.find("drop/pairs.csv")
    assert found is not None
    for key in ("drop/other.csv", "drop/pairs.csv/x", "drop/pairs"):
        assert await files.find(key) is None
    await files.remove("drop/pairs.csv")
    assert await files.find("drop/pairs.csv") is None
    assert await files.read(found) in (b"one", None)


async def test_removing_may_be_repeated(files: DropStore, drop: Drop) -> None:
    await drop("drop/a.errors.json", b"{}")
    for _ in range(2):
        await files.remove("drop/a.errors.json")
    await files.remove("drop/never/there.json")
    assert await files.keys("drop/") == []


async def test_beside_are_the_files_of_one_folder_in_order(files: DropStore, drop: Drop) -> None:
    for name in ("b.wav", "a.wav", "_READY", "deeper/c.wav"):
        await drop(f"drop/job/{name}", name.encode())
    await drop("drop/job2/d.wav", b"d")
    ready = await files.find("drop/job/_READY")
    assert ready is not None
    beside = await files.beside(ready)
    assert [entry.key for entry in beside] == ["drop/job/_READY", "drop/job/a.wav", "drop/job/b.wav"]
    assert [entry.size_bytes for entry in beside] == [6, 5, 5]


async def test_equal_contents_beside_have_versions_that_stay_while_nothing_changes(
    files: DropStore, drop: Drop
) -> None:
    await drop("drop/job/a.wav", b"a" * 100_000)
    await drop("drop/job/_READY", b"")
    ready = await files.find("drop/job/_READY")
    assert ready is not None
    assert await files.beside(ready) == await files.beside(ready)


@pytest.mark.parametrize("name", [name for name in NAMES if "#" not in name])
async def test_a_reference_leads_a_worker_to_the_object(files: DropStore, drop: Drop, name: str) -> None:
    await drop(f"drop/a folder/{name}", b"x")
    found = await files.find(f"drop/a folder/{name}")
    assert found is not None
    ref = parse_media_ref(found.reference)
    assert ref.location == f"{files.folder_reference(found.key)}/{name}"
    assert ref.is_pinned is files.knows_versions


async def test_what_is_there_wholly_is_finished(files: DropStore, drop: Drop) -> None:
    await drop("drop/job/a.wav", b"a")
    found = await files.find("drop/job/a.wav")
    assert found is not None
    assert list(await files.unfinished([found.reference, f"{files.folder_reference(found.key)}/missing.wav"])) == []


async def test_relative_paths_are_taken_against_the_folder(files: DropStore, drop: Drop, data_dir: Path) -> None:
    folder = files.folder_reference("drop/films/pairs.csv")
    bucket = files.source.removeprefix("s3://")
    policy = MediaPolicy(roots=(str(data_dir),), allowed_buckets=(bucket,), relative_to=folder)
    checked = policy.check(parse_media_ref("../shared/./m.wav#a:1"))
    assert str(checked) == f"{files.folder_reference('drop/x')}/shared/m.wav#a:1"


async def test_keys_are_listed_by_their_beginning(files: DropStore, drop: Drop) -> None:
    for key in ("results/.pending/a.json", "results/.pending/b.json", "results/.pendingx", "results/films/c.json"):
        await drop(key, b"{}")
    assert await files.keys("results/.pending/") == ["results/.pending/a.json", "results/.pending/b.json"]
    assert len(await files.keys("results/")) == 4
    assert await files.keys("results/nothing/") == []


async def test_a_large_document_is_written_in_pieces(files: DropStore) -> None:
    pieces = [bytes([number]) * 3_000_000 for number in range(7)]
    await files.write("results/large.json", chunks(*pieces))
    found = await files.find("results/large.json")
    assert found is not None
    assert await files.read(found) == b"".join(pieces)


async def test_a_document_that_breaks_off_is_not_there(files: DropStore, drop: Drop) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield b"x" * 9_000_000
        raise RuntimeError("the store of items failed")

    await drop("results/a.json", b"old")
    with pytest.raises(RuntimeError):
        await files.write("results/a.json", breaking())
    found = await files.find("results/a.json")
    assert found is not None
    assert await files.read(found) == b"old"
    assert await files.keys("results/") == ["results/a.json"]


async def test_writing_at_once_leaves_one_of_the_documents(files: DropStore) -> None:
    documents = [bytes([number]) * 50_000 for number in range(8)]
    await asyncio.gather(*(files.write("results/a.json", chunks(document)) for document in documents))
    found = await files.find("results/a.json")
    assert found is not None
    assert await files.read(found) in documents
