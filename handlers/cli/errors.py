"""Errors as the terminal shows them, and the exit codes they deserve."""

from __future__ import annotations

from sync_core.domain.errors import ConfigurationError, InputError, InvalidBatch, ServiceUnreachable, SyncError


def exit_code(error: SyncError) -> int:
    """Choose the exit code for an error that ends a command."""
    if isinstance(error, ServiceUnreachable):
        return 3
    return 2 if isinstance(error, InputError | ConfigurationError) else 1


def error_text(error: SyncError) -> str:
    """Say what happened; of a rejected file, every bad row on a line of its own."""
    problems = error.problems if isinstance(error, InvalidBatch) else ()
    return "\n".join([error.message, *(problem_line(p.line, p.column, p.reason) for p in problems)])


def problem_line(line: int, column: str | None, reason: str) -> str:
    """Say what is wrong with one cell or row of an upload.

    Examples
    --------
    >>> problem_line(3, "methods", "unknown method telepathy")
    '  line 3, methods: unknown method telepathy'
    """
    return f"  line {line}, {column or 'row'}: {reason}"
