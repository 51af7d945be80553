"""Reading uploads: what is written is what is read, and whatever comes, the answer is a batch or a refusal."""

from __future__ import annotations

import contextlib
import csv
import io
import posixpath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.domain.errors import InvalidBatch, PathNotAllowed, SyncError, TooLarge
from sync_core.domain.media import InvalidMediaReference, MediaPolicy, parse_media_ref
from sync_core.domain.methods import AiModel, Method
from sync_core.jobs.csv_rows import ParsedUpload, UploadLimits, allowed_path, parse_upload

POLICY = MediaPolicy(roots=("/mnt/data", "/work"), allowed_buckets=("studio",), relative_to="/work")
LIMITS = UploadLimits(file_bytes=100_000, rows=200, cell_characters=400)
HEADER = ("master_file", "dub_file", "methods", "ai_model", "description", "tags")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252")


def parse(content: str | bytes, limits: UploadLimits = LIMITS, policy: MediaPolicy = POLICY) -> ParsedUpload:
    return parse_upload(content.encode() if isinstance(content, str) else content, limits=limits, policy=policy)


def refused(content: str | bytes, **options: object) -> InvalidBatch:
    with pytest.raises(InvalidBatch) as caught:
        parse(content, **options)
    return caught.value


def written(rows: list[dict[str, str]], header: tuple[str, ...], delimiter: str = ",", newline: str = "\r\n") -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=newline)
    writer.writerow(header)
    writer.writerows([[row.get(name.strip().lower(), "") for name in header] for row in rows])
    return text.getvalue()


LATIN = st.text("abcXYZ0189 _-.äöüéß;,\t'\"\n", max_size=30)
WORD = st.text("abcäöüß0189_-", min_size=1, max_size=12)
ROW = st.fixed_dictionaries(
    {
        "master_file": WORD.map(lambda name: f"/mnt/data/{name}.wav"),
        "dub_file": WORD.map(lambda name: f"/mnt/data/{name}.mov"),
        "methods": st.lists(st.sampled_from(list(Method)), unique=True, max_size=4).map(",".join),
        "ai_model": st.sampled_from(["", *AiModel]),
        "description": LATIN,
        "tags": st.lists(WORD, max_size=3).map(",".join),
    }
)


@settings(max_examples=150)
@given(
    rows=st.lists(ROW, min_size=1, max_size=8),
    header=st.permutations(HEADER),
    upper=st.booleans(),
    delimiter=st.sampled_from([",", ";", "\t"]),
    newline=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(ENCODINGS),
)
def test_what_is_written_is_what_is_read(rows, header, upper, delimiter, newline, encoding):
    names = tuple(name.upper() if upper else f" {name} " for name in header)
    parsed = parse(written(rows, names, delimiter, newline).encode(encoding))
    assert len(parsed.requests) == len(rows)
    for request, row in zip(parsed.requests, rows, strict=True):
        assert request.master_file == row["master_file"]
        assert request.dub_file == row["dub_file"]
        assert request.description == row["description"].strip()
        assert request.tags == tuple(tag for tag in row["tags"].split(",") if tag)
        assert request.methods == (tuple(row["methods"].split(",")) if row["methods"] else tuple(Method)[:3])
        assert request.ai_model == (row["ai_model"] or ("wav2vec2" if Method.AI in request.methods else None))


@settings(max_examples=300)
@given(
    content=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda text: text.encode("utf-8", "ignore")))
)
def test_garbage_is_refused(content):
    with pytest.raises((InvalidBatch, TooLarge)):
        parse(content)


@settings(max_examples=300)
@given(body=st.binary(max_size=300), prefix=st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"]))
def test_garbage_under_a_good_header_is_read_or_refused(body, prefix):
    encoding = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(prefix, "utf-8")
    with contextlib.suppress(InvalidBatch, TooLarge):
        assert parse(prefix + "master_file,dub_file\n".encode(encoding) + body).requests


@settings(max_examples=100)
@given(
    good=st.integers(0, 30),
    position=st.integers(0, 30),
    bad=st.sampled_from(
        [
            ("/mnt/data/a.wav,", "dub_file"),
            ("/etc/passwd,/mnt/data/b.wav", "master_file"),
            ("/mnt/data/a.wav,/mnt/data2/b.wav", "dub_file"),
            ("/mnt/data/../data2/a.wav,/mnt/data/b.wav", "master_file"),
            ("/mnt/data/a.wav,s3://other/b.wav", "dub_file"),
            ("/mnt/data/a.wav,https://example.com/b.wav", "dub_file"),
            ("/mnt/data/a.wav,ftp://example.com/b.wav", "dub_file"),
            ("/mnt/data/a.wav,/mnt/data/b.wav,magic", "methods"),
            ("/mnt/data/a.wav,/mnt/data/b.wav,ai,gpt", "ai_model"),
            ("/mnt/data/a.wav,/mnt/data/b.wav,mfcc,,text,tag,surplus", None),
        ]
    ),
)
def test_one_bad_row_among_good_ones_is_named_by_line_and_column(good, position, bad):
    lines = ["/mnt/data/a.wav,/mnt/data/b.wav"] * good
    place = min(position, good)
    lines.insert(place, bad[0])
    error = refused("\n".join([",".join(HEADER), *lines]))
    assert [(problem.line, problem.column) for problem in error.problems] == [(place + 2, bad[1])]
    assert error.problems[0].reason
    assert f"1 of {good + 1} rows" in error.message


def test_all_bad_cells_are_reported_at_once():
    error = refused(
        "master_file,dub_file,methods,ai_model\n,/etc/x,magic,gpt\n/mnt/data/a,/mnt/data/b\n,,,\n,/mnt/data/b\n"
    )
    found = [(problem.line, problem.column) for problem in error.problems]
    assert found == [(2, "master_file"), (2, "dub_file"), (2, "methods"), (2, "ai_model"), (5, "master_file")]


def test_line_numbers_count_lines_not_rows():
    error = refused('master_file,dub_file,description\n/mnt/data/a,/mnt/data/b,"two\nlines"\n\n/etc/a,/mnt/data/b,\n')
    assert [problem.line for problem in error.problems] == [5]


def test_quoted_newlines_and_blank_lines():
    parsed = parse('\n\nmaster_file,dub_file,description\n\n/mnt/data/a,/mnt/data/b,"one\ntwo, ""three"""\n  \n,,\n')
    assert [request.description for request in parsed.requests] == ['one\ntwo, "three"']


def test_a_list_without_quotes_is_explained():
    error = refused("master_file,dub_file,methods\n/mnt/data/a,/mnt/data/b,mfcc,onset\n")
    assert "quotes" in error.problems[0].reason


def test_unclosed_quote_is_reported_with_its_line():
    error = refused('master_file,dub_file,description\n/mnt/data/a,/mnt/data/b,x\n/mnt/data/a,/mnt/data/b,"open\n')
    assert [problem.line for problem in error.problems] == [3]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b" \n\n ", "empty"),
        (b"\xff\xfe", "empty"),
        (b"master_file,dub_file\n", "no rows"),
        (b"master,dub\n/mnt/data/a,/mnt/data/b\n", "master,dub"),
        (b"master_file|dub_file\n/mnt/data/a|/mnt/data/b\n", "comma, semicolon or tab"),
        (b"master_file,dub_file,Master_File\n/mnt/data/a,/mnt/data/b,x\n", "more than once"),
        (b"master_file,dub_file\n/mnt/data/a\0,/mnt/data/b\n", "NUL"),
        (b"master_file,dub_file\n/mnt/data/\x81,/mnt/data/b\n", "UTF-8"),
    ],
)
def test_unusable_files_are_refused_with_the_reason(content, words):
    assert words in refused(content).message


def test_limits_are_named():
    header = "master_file,dub_file,description\n"
    with pytest.raises(TooLarge, match="100,000"):
        parse("x" * 100_001)
    with pytest.raises(TooLarge, match="200"):
        parse(header + "/mnt/data/a,/mnt/data/b,\n" * 201)
    error = refused(header + f"/mnt/data/a,/mnt/data/b,{'x' * 401}\n")
    assert (error.problems[0].line, error.problems[0].column) == (2, "description")
    assert "400" in error.problems[0].reason
    assert parse(header + f"/mnt/data/a,/mnt/data/b,{'x' * 400}\n").requests


def test_more_problems_than_anyone_mends_are_counted_but_not_all_listed():
    error = refused("master_file,dub_file\n" + "/etc/a,/etc/b\n" * 6_000, limits=UploadLimits())
    assert "6000 of 6000 rows" in error.message
    assert "first 10,000 problems" in error.message
    assert len(error.problems) == 10_000


def test_columns_without_end_are_refused_at_once():
    header = ",".join(["master_file", "dub_file", *(f"c{number}" for number in range(100_000))])
    assert "1,000" in refused(header + "\n/mnt/data/a,/mnt/data/b\n", limits=UploadLimits()).message


def test_huge_cell_beyond_the_csv_modules_own_limit_is_a_bad_cell():
    error = refused(
        f'master_file,dub_file,description\n/mnt/data/a,/mnt/data/b,"{"x" * 150_000}"\n',
        limits=UploadLimits(cell_characters=100),
    )
    assert error.problems[0].column == "description"


def test_duplicate_rows_stay_separate():
    assert len(parse("master_file,dub_file\n" + "/mnt/data/a,/mnt/data/b\n" * 3).requests) == 3


def test_unknown_columns_are_named_and_left_out():
    parsed = parse("Master_File,note,DUB_FILE,\n/mnt/data/a,hello,/mnt/data/b,\n")
    assert parsed.ignored_columns == ("note",)
    assert parsed.requests[0].dub_file == "/mnt/data/b"


def test_methods_are_read_in_any_case_without_repeats():
    parsed = parse('master_file,dub_file,methods\n/mnt/data/a,/mnt/data/b," MFCC, ai ,mfcc,"\n')
    assert parsed.requests[0].methods == (Method.MFCC, Method.AI)
    assert parsed.requests[0].ai_model is AiModel.WAV2VEC2


@pytest.mark.parametrize(
    ("given_path", "kept"),
    [
        ("/mnt/data/a b/ü.wav", "/mnt/data/a b/ü.wav"),
        ("/mnt/data/a.mov#a:1,ch:0", "/mnt/data/a.mov#a:1,ch:0"),
        ("films/a.wav", "/work/films/a.wav"),
        ("films/a.wav#ch:1", "/work/films/a.wav#ch:1"),
        ("s3://studio/films/a.wav", "s3://studio/films/a.wav"),
    ],
)
def test_allowed_paths_stay_as_written_but_become_absolute(given_path, kept):
    assert allowed_path(given_path, POLICY) == kept


@pytest.mark.parametrize(
    "path",
    [
        "/mnt/data2/a.wav",
        "/mnt/data/../../etc/passwd",
        "../outside.wav",
        "/mnt",
        "//mnt/other/a.wav",
        "file:///mnt/data/a.wav",
        "s3://studio",
        "s3:///key",
        "s3://studio-other/a.wav",
        "s3://user@studio/a.wav",
        "s3://[studio/a.wav",
        "s3://studio?/a.wav",
        "S3://other/a.wav",
        "https://example.com/a.wav",
        "/mnt/data/a\n.wav",
        "",
        "   ",
    ],
)
def test_paths_outside_are_refused(path):
    with pytest.raises(SyncError) as caught:
        allowed_path(path, POLICY)
    assert caught.value.code in ("PATH_NOT_ALLOWED", "INVALID_MEDIA_REFERENCE")


@settings(max_examples=200)
@given(
    start=st.sampled_from(["", "/", "/mnt/data/", "../", "s3://", "s3://studio/", "s3://[", "https://", "file:///"]),
    rest=st.one_of(st.text(max_size=30), st.text("./a#:1[]@?%\\", max_size=30)),
)
def test_no_accepted_path_leaves_the_roots(start, rest):
    with contextlib.suppress(PathNotAllowed, InvalidMediaReference):
        accepted = parse_media_ref(allowed_path(start + rest, POLICY)).location
        folder = posixpath.normpath(accepted) + "/"
        assert folder.startswith(("/work/", "/mnt/data/")) or accepted.startswith("s3://studio/")
