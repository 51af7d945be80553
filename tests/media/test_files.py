"""Which files are opened at all, and how the others are told apart."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import soundfile

from sync_core.domain.errors import MediaCorrupt, MediaNotFound, MediaUnsupported, PathNotAllowed
from sync_core.domain.media import MediaPolicy, parse_media_ref
from sync_core.media.container import open_container
from sync_core.media.files import missing_wav_bytes, resolve
from tests.media.writing import Sound, bursts, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


def resolved(path: Path | str, *roots: Path, **policy: object) -> Path:
    return resolve(parse_media_ref(str(path)), MediaPolicy(roots=tuple(map(str, roots)), **policy))


def test_a_plain_file(root: Path) -> None:
    (root / "a.wav").write_bytes(b"RIFF")
    assert resolved(root / "a.wav#a:1", root) == root / "a.wav"
    assert resolved("a.wav", root, relative_to=str(root)) == root / "a.wav"


def test_a_link_inside_the_root_is_followed(root: Path) -> None:
    (root / "a.wav").write_bytes(b"RIFF")
    (root / "link.wav").symlink_to("a.wav")
    assert resolved(root / "link.wav", root) == root / "a.wav"


def test_the_root_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (root / "a.wav").write_bytes(b"RIFF")
    (tmp_path / "mounted").symlink_to(root)
    assert resolved(tmp_path / "mounted" / "a.wav", tmp_path / "mounted") == root / "a.wav"


@pytest.mark.parametrize("through", ["file", "folder", "relative", "chain", "dangling"])
def test_a_link_that_leaves_the_root(root: Path, tmp_path: Path, through: str) -> None:
    outside = tmp_path / "media2"
    outside.mkdir()
    (outside / "secret.wav").write_bytes(b"RIFF")
    link = root / "x"
    match through:
        case "file":
            link.symlink_to(outside / "secret.wav")
        case "folder":
            link.symlink_to(outside)
            link = link / "secret.wav"
        case "relative":
            link.symlink_to("../media2/secret.wav")
        case "chain":
            (root / "y").symlink_to(outside / "secret.wav")
            link.symlink_to(root / "y")
        case "dangling":
            link.symlink_to(outside / "absent.wav")
    with pytest.raises(PathNotAllowed, match="leaves the media roots through a symbolic link"):
        resolved(link, root)
    if through != "dangling":
        assert resolved(link, unrestricted=True).name == "secret.wav"


def test_what_is_not_there(root: Path) -> None:
    for name in ("absent.wav", "absent/folder.wav", "n" * 300 + ".wav"):
        with pytest.raises(MediaNotFound, match=name[:20]):
            resolved(root / name, root)
    (root / "loop").symlink_to("loop")
    with pytest.raises(MediaNotFound):
        resolved(root / "loop", root)
    (root / "file").write_bytes(b"x")
    with pytest.raises(MediaNotFound):
        resolved(root / "file" / "below.wav", root)


def test_special_files_are_never_opened(root: Path) -> None:
    os.mkfifo(root / "pipe.wav")
    with pytest.raises(MediaUnsupported, match=r"pipe\.wav is a named pipe, not a file"):
        resolved(root / "pipe.wav", root)
    with pytest.raises(MediaUnsupported, match="is a folder"):
        resolved(root, root)
    with pytest.raises(MediaUnsupported, match="/dev/zero is a device"):
        resolved("/dev/zero", unrestricted=True)


def test_a_socket_is_not_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.wav")
        with pytest.raises(MediaUnsupported, match="is a socket"):
            resolved(root / "s.wav", root)


def test_an_empty_file(root: Path) -> None:
    (root / "a.wav").touch()
    with pytest.raises(MediaCorrupt, match=r"a\.wav is empty \(0 bytes\)"):
        resolved(root / "a.wav", root)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(root: Path) -> None:
    (root / "a.wav").write_bytes(b"RIFF")
    (root / "a.wav").chmod(0)
    with pytest.raises(PathNotAllowed, match="no permission"):
        resolved(root / "a.wav", root)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", b"These are only notes.\n" * 50),
        ("a.wav", b"These are only notes.\n" * 50),
        ("a.json", b'{"a": [1, 2, 3]}'),
        ("a.mov", os.urandom(4000).replace(b"\x47", b"\x00")),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nother.ts\n"),
        ("list.ffconcat", b"ffconcat version 1.0\nfile 'other.wav'\n"),
        ("a.sdp", b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n"),
        ("a.mpd", b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>'),
        ("a.srt", b"1\n00:00:01,000 --> 00:00:02,000\nHello\n\n"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 100),
    ],
)
def test_what_is_not_media(root: Path, name: str, content: bytes) -> None:
    path = root / name
    path.write_bytes(content)
    with pytest.raises(MediaUnsupported, match=f"{name} is not an audio or video file"):
        open_container(path, name)


def test_a_playlist_does_not_make_another_file_be_read(root: Path) -> None:
    write(root / "other.wav", Sound(bursts(2.0)))
    for name, content in (
        ("a.m3u8", "#EXTM3U\n#EXTINF:2,\nother.wav\n"),
        ("a.ffconcat", "ffconcat version 1.0\nfile other.wav\n"),
    ):
        (root / name).write_text(content)
        with pytest.raises(MediaUnsupported):
            open_container(root / name, name)


def test_a_name_that_looks_like_a_protocol(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root / "a.wav", Sound(bursts(2.0))).rename(root / "concat:b|c.wav")
    with open_container(root / "concat:b|c.wav", "x") as container:
        assert container.format.name == "wav"


@pytest.mark.parametrize("name", ["a.mov", "a.m4a", "a.mp4"])
def test_a_file_whose_index_was_cut_off(root: Path, name: str) -> None:
    path = write(root / name, Sound(bursts(3.0), "aac"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MediaCorrupt, match=f"{name} is damaged at its start or was cut off: 0 s"):
        open_container(path, name)


def test_missing_bytes_of_a_wav(root: Path) -> None:
    path = write(root / "a.wav", Sound(bursts(3.0)))
    assert missing_wav_bytes(path) == 0
    whole = path.read_bytes()
    path.write_bytes(whole[:-1000])
    assert missing_wav_bytes(path) == 1000
    path.write_bytes(whole[:40] + b"\xff\xff\xff\xff" + whole[44:])
    assert missing_wav_bytes(path) == 0
    soundfile.write(root / "long.wav", bursts(2.0), 48_000, format="RF64")
    assert missing_wav_bytes(root / "long.wav") == 0
    (root / "long.wav").write_bytes((root / "long.wav").read_bytes()[:-500])
    assert missing_wav_bytes(root / "long.wav") == 500
    (root / "short").write_bytes(b"RI")
    assert missing_wav_bytes(root / "short") == 0
