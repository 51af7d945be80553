"""Read an upload: the rows of a CSV file as item requests, or all that is wrong with it at once."""

from __future__ import annotations

import codecs
import csv
import io
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sync_core.domain.batch import ItemRequest
from sync_core.domain.errors import InputError, InputProblem, InvalidBatch, PathNotAllowed, TooLarge
from sync_core.domain.lists import split_list
from sync_core.domain.media import MediaPolicy, MediaScheme, parse_media_ref
from sync_core.domain.methods import DEFAULT_AI_MODEL, Method, parse_ai_model, parse_methods

csv.field_size_limit(sys.maxsize)  # the upload's size bounds a cell; a long one is reported with its line, not raised

_T = TypeVar("_T")

REQUIRED = ("master_file", "dub_file")
OPTIONAL = ("methods", "ai_model", "description", "tags", "channels")
_MOST_COLUMNS = 1_000
_MOST_PROBLEMS = 10_000  # nobody mends more than that one by one; a wrong folder in 50,000 rows would fill the memory
_DELIMITERS = (",", ";", "\t")
_CHANNELS = {"": False, "downmix": False, "per_channel": True}
_NO_COLUMNS: Mapping[str, Callable[[str], object]] = {}


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What an upload may be at most."""

    file_bytes: int = 10_000_000
    rows: int = 50_000
    cell_characters: int = 4_096


@dataclass(frozen=True, slots=True)
class ParsedUpload:
    """The rows of a good file, the columns in it that mean nothing here, and what it says of the batch as a whole."""

    requests: tuple[ItemRequest, ...]
    ignored_columns: tuple[str, ...]
    batch_values: Mapping[str, object] = field(default_factory=dict)
    first_line: int = 2


def parse_upload(
    content: bytes,
    *,
    limits: UploadLimits,
    policy: MediaPolicy,
    batch_columns: Mapping[str, Callable[[str], object]] = _NO_COLUMNS,
) -> ParsedUpload:
    """Turn an uploaded CSV into item requests, one per row and in its order.

    UTF-8 with or without BOM, UTF-16 and cp1252 are read; comma, semicolon or tab; headers in any order and case;
    quoted newlines; blank lines are skipped.

    Parameters
    ----------
    batch_columns
        How to read each column that speaks for the whole batch. Its first row counts; a later one may repeat it.

    Raises
    ------
    TooLarge
        If the file has too many bytes or rows.
    InvalidBatch
        If anything is wrong with it; `problems` holds the bad cells with their lines and columns.
    """
    if len(content) > limits.file_bytes:
        raise TooLarge(f"The file has {len(content):,} bytes; the limit is {limits.file_bytes:,}. Split it.")
    text = decode_text(content)
    header, rows = _read_table(text)
    if len(rows) > limits.rows:
        raise TooLarge(f"The file has {len(rows):,} rows; the limit is {limits.rows:,}. Split it.")
    reader = _RowReader(header, limits, policy, batch_columns)
    requests = [reader.read(row) for row in rows]
    if reader.bad_rows:
        raise InvalidBatch(_verdict(reader, len(rows)), reader.problems)
    ignored = tuple(name for name in header if name and name not in (*REQUIRED, *OPTIONAL, *batch_columns))
    found = tuple(request for request in requests if request)
    return ParsedUpload(found, ignored, reader.batch_values, rows[0].line)


def _verdict(reader: _RowReader, total: int) -> str:
    listed = f" The first {_MOST_PROBLEMS:,} problems are listed." if len(reader.problems) == _MOST_PROBLEMS else ""
    return f"{reader.bad_rows} of {total} rows cannot be used; nothing was stored.{listed} Mend them and upload again."


def decode_text(content: bytes) -> str:
    """Decode an upload by its byte order mark, else as UTF-8, UTF-16 without a mark, or cp1252.

    Raises
    ------
    InvalidBatch
        If it is empty, holds NUL characters, or is in none of these encodings.
    """
    for encoding in _plausible_encodings(content):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            raise InvalidBatch("The file holds NUL characters; it is not a CSV text file.")
        if not text.strip():
            raise InvalidBatch("The file is empty; it needs a header line and at least one row.")
        return text
    raise InvalidBatch("The file is in none of UTF-8, UTF-16 and Windows-1252; save it as UTF-8.")


def _plausible_encodings(content: bytes) -> tuple[str, ...]:
    if content.startswith(codecs.BOM_UTF8):
        return ("utf-8-sig",)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ("utf-16",)
    head = content[:64]
    if head[1::2].count(0) > len(head) // 4:
        return ("utf-16-le",)
    if head[0::2].count(0) > len(head) // 4:
        return ("utf-16-be",)
    return ("utf-8", "cp1252")


@dataclass(frozen=True, slots=True)
class _Row:
    """A record with the line it starts on; `broken` says why it could not be read."""

    line: int
    cells: tuple[str, ...]
    broken: str | None = None


def _read_table(text: str) -> tuple[tuple[str, ...], list[_Row]]:
    """Split into header and rows by the delimiter under which the header has the required columns."""
    for delimiter in _DELIMITERS:
        records = _records(text, delimiter)
        first = next(records, None)
        names = tuple(cell.strip().lower() for cell in first.cells) if first else ()
        if set(REQUIRED) <= set(names):
            _check_header(names)
            rows = list(records)
            if not rows:
                raise InvalidBatch("The file has a header but no rows.")
            return names, rows
    raise InvalidBatch(
        f"The first line must name the columns {' and '.join(REQUIRED)}, separated by comma, semicolon or tab; "
        f"it reads: {text.strip().splitlines()[0][:200]}"
    )


def _check_header(names: Sequence[str]) -> None:
    if len(names) > _MOST_COLUMNS:
        raise InvalidBatch(f"The header names {len(names):,} columns; the limit is {_MOST_COLUMNS:,}.")
    repeated = sorted(name for name, times in Counter(names).items() if name and times > 1)
    if repeated:
        raise InvalidBatch(f"The header names these columns more than once: {', '.join(repeated)}.")


def _records(text: str, delimiter: str) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield _Row(line, (), f"the quotes in this row do not fit together ({error})")
            continue
        if any(cell.strip() for cell in cells):
            yield _Row(line, tuple(cells))


@dataclass(slots=True)
class _RowReader:
    """Turns rows into requests, and gathers what is wrong with them."""

    header: tuple[str, ...]
    limits: UploadLimits
    policy: MediaPolicy
    batch_columns: Mapping[str, Callable[[str], object]] = field(default_factory=dict)
    batch_values: dict[str, object] = field(default_factory=dict)
    problems: list[InputProblem] = field(default_factory=list)
    bad_rows: int = 0
    _is_bad: bool = False
    _first_cells: dict[str, str] | None = None

    def read(self, row: _Row) -> ItemRequest | None:
        self._is_bad = False
        request = self._request(row)
        self.bad_rows += self._is_bad
        return request

    def _read_batch_values(self, line: int, cells: dict[str, str]) -> None:
        """Read what the first row says of the batch; note where a later row says otherwise."""
        if self._first_cells is None:
            self._first_cells = cells
            for name, read in self.batch_columns.items():
                if cells.get(name) and (value := self._cell(line, cells, name, read)) is not None:
                    self.batch_values[name] = value
            return
        for name in self.batch_columns:
            if cells.get(name) and cells[name] != self._first_cells.get(name, ""):
                self._note(line, name, "this is a setting of the whole batch, which only the first row makes")

    def _note(self, line: int, column: str | None, reason: str) -> None:
        self._is_bad = True
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(InputProblem(line, column, reason))

    def _request(self, row: _Row) -> ItemRequest | None:
        cells = self._cells(row)
        if cells is None:
            return None
        self._read_batch_values(row.line, cells)

        master = self._cell(row.line, cells, "master_file", self._path)
        dub = self._cell(row.line, cells, "dub_file", self._path)
        methods = self._cell(row.line, cells, "methods", parse_methods)
        model = self._cell(row.line, cells, "ai_model", parse_ai_model)
        per_channel = self._cell(row.line, cells, "channels", _parse_channels)
        if self._is_bad or master is None or dub is None or methods is None:
            return None
        return ItemRequest(
            master_file=master,
            dub_file=dub,
            methods=methods,
            ai_model=model or (DEFAULT_AI_MODEL if Method.AI in methods else None),
            description=cells.get("description", ""),
            tags=split_list(cells.get("tags", "")),
            per_channel=bool(per_channel),
        )

    def _cells(self, row: _Row) -> dict[str, str] | None:
        """Give the row's cells by column, or None with a problem noted where they don't fit the header."""
        if row.broken:
            self._note(row.line, None, row.broken)
            return None
        surplus = [cell for cell in row.cells[len(self.header) :] if cell.strip()]
        if surplus:
            reason = (
                f"the row has {len(row.cells)} cells but the header names {len(self.header)} columns; "
                'put lists into quotes, as in "mfcc,onset"'
            )
            self._note(row.line, None, reason)
            return None
        cells = {name: text.strip() for name, text in zip(self.header, row.cells, strict=False)}
        longest = self.limits.cell_characters
        too_long = [name for name, text in cells.items() if len(text) > longest]
        for name in too_long:
            reason = f"the cell has {len(cells[name]):,} characters; the limit is {longest:,}"
            self._note(row.line, name, reason)
        return None if too_long else cells

    def _cell(self, line: int, cells: dict[str, str], column: str, read: Callable[[str], _T]) -> _T | None:
        try:
            return read(cells.get(column, ""))
        except (InputError, PathNotAllowed) as error:
            self._note(line, column, error.message)
            return None

    def _path(self, text: str) -> str:
        return allowed_path(text, self.policy)


def allowed_path(text: str, policy: MediaPolicy) -> str:
    """Check a media reference; it stays as the user wrote it, but a relative path is made absolute.

    Raises
    ------
    InvalidMediaReference, PathNotAllowed
    """
    ref = parse_media_ref(text)
    checked = policy.check(ref)
    return text if ref.location.startswith("/") or ref.scheme is not MediaScheme.FILE else str(checked)


def _parse_channels(text: str) -> bool:
    if text.lower() not in _CHANNELS:
        raise InputError(f"unknown channels {text}; known are downmix and per_channel")
    return _CHANNELS[text.lower()]
