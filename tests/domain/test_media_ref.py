"""Media references and the policy over them, as laws."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.errors import PathNotAllowed
from sync_core.domain.media import (
    InvalidMediaReference,
    MediaPolicy,
    MediaRef,
    MediaScheme,
    is_inside,
    parse_media_ref,
)

names = st.text(st.characters(blacklist_categories=("Cc", "Cs"), blacklist_characters="/#"), min_size=1, max_size=12)
paths = st.lists(names | st.sampled_from(["..", ".", "", "a b", "ü"]), min_size=1, max_size=6).map("/".join)
numbers = st.none() | st.integers(0, 999)


@given(paths, numbers, numbers)
def test_a_reference_reads_back_as_it_was_written(path: str, stream: int | None, channel: int | None) -> None:
    ref = MediaRef(MediaScheme.FILE, "/m/" + path, stream, channel)
    assert parse_media_ref(str(ref)) == ref


opaque = st.none() | st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, blacklist_characters=",#"), min_size=1
)


@given(paths.filter(lambda path: path.strip("/")), numbers, numbers, opaque, opaque)
def test_an_object_stays_pinned_in_writing(
    path: str, stream: int | None, channel: int | None, version: str | None, etag: str | None
) -> None:
    etag = None if version else etag
    ref = MediaRef(MediaScheme.S3, "s3://bucket/" + path, stream, channel, version, etag)
    assert parse_media_ref(str(ref)) == ref
    assert ref.is_pinned == bool(version or etag)


@pytest.mark.parametrize("text", ["/m/a.mov#v:1", "https://host/a.mov#e:1", "a.mov#v:1,a:1"])
def test_only_objects_in_s3_have_versions(text: str) -> None:
    ref = parse_media_ref(text)
    assert (ref.location, ref.is_pinned) == (text, False)


@given(st.text())
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        ref = parse_media_ref(text)
    except InvalidMediaReference:
        return
    assert text.startswith(ref.location)


@pytest.mark.parametrize(
    "text", ["", "  ", "a\nb", "a\0b", "http://x/y", "hls://x", "s3://bucket", "s3:///key", "concat://a"]
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(InvalidMediaReference):
        parse_media_ref(text)


@pytest.mark.parametrize(
    ("text", "location", "stream", "channel"),
    [
        ("/m/a.mov#a:1", "/m/a.mov", 1, None),
        ("/m/a.mov#ch:0", "/m/a.mov", None, 0),
        ("/m/a.mov#a:1,ch:5", "/m/a.mov", 1, 5),
        ("/m/take #2.wav", "/m/take #2.wav", None, None),
        ("/m/a#a:1.wav", "/m/a#a:1.wav", None, None),
        ("s3://bucket/key#a:2", "s3://bucket/key", 2, None),
        ("s3://bucket/key#v:3/L4kq+J=,a:2", "s3://bucket/key", 2, None),
        ("s3://bucket/key #2#e:ab-12,ch:1", "s3://bucket/key #2", None, 1),
        ("s3://bucket/key#a:2,v:1", "s3://bucket/key#a:2,v:1", None, None),
        ("file:a.wav", "file:a.wav", None, None),
    ],
)
def test_selectors(text: str, location: str, stream: int | None, channel: int | None) -> None:
    ref = parse_media_ref(text)
    assert (ref.location, ref.stream, ref.channel) == (location, stream, channel)


@given(paths)
def test_what_the_policy_lets_through_lies_in_a_root(path: str) -> None:
    policy = MediaPolicy(roots=("/mnt/data", "/srv/m"), relative_to="/mnt/data/in")
    try:
        allowed = policy.check(parse_media_ref("/mnt/data/" + path)).location
    except PathNotAllowed:
        assert not is_inside(posixpath.normpath("/mnt/data/" + path), policy.roots)
        return
    assert allowed == posixpath.normpath(allowed)
    assert allowed == "/mnt/data" or allowed.startswith(("/mnt/data/", "/srv/m/"))


@pytest.mark.parametrize("path", ["/mnt/data2/x", "/mnt/data/../data2/x", "/mnt", "/etc/passwd", "../../etc/passwd"])
def test_what_lies_outside_is_refused(path: str) -> None:
    with pytest.raises(PathNotAllowed, match="outside the media roots"):
        MediaPolicy(roots=("/mnt/data",), relative_to="/mnt/data").check(parse_media_ref(path))


def test_relative_paths_need_a_folder() -> None:
    with pytest.raises(PathNotAllowed, match="absolute"):
        MediaPolicy(roots=("/mnt/data",)).check(parse_media_ref("a.wav"))


def test_buckets_and_addresses_are_off_unless_allowed() -> None:
    policy = MediaPolicy(allowed_buckets=("in",))
    assert policy.check(parse_media_ref("s3://in/key")).location == "s3://in/key"
    for text in ("s3://other/key", "https://in/key"):
        with pytest.raises(PathNotAllowed):
            policy.check(parse_media_ref(text))
