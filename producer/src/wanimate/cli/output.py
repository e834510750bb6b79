"""Lines on stdout for people or for programs; notes on stderr."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from ..contract import JobState, Result
from ..errors import JobCancelled, JobFailed, JobNotFound, ResultExpired
from ..text import format_duration, indented_lines, one_line, pairs_of, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ..contract import CancelOutcome, JobStatus

_COLOURS: Final[Mapping[str, str]] = {
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
    "expired": "yellow",
    "downloaded": "green",
    "not_downloaded": "red",
}
_NOT_KEPT: Final = "(could not be copied to the store before the vendor stopped serving it)"
#: Shown in place of a state if a job succeeded and its videos are gone.
EXPIRED: Final = "expired"


def state_of(outcome: Result | JobFailed | ResultExpired) -> str:
    """Return the final state that an outcome stands for."""
    if isinstance(outcome, ResultExpired):
        return EXPIRED
    if isinstance(outcome, Result):
        return JobState.SUCCEEDED
    return JobState.CANCELLED if isinstance(outcome, JobCancelled) else JobState.FAILED


class Output:
    """Writes results to stdout and notes to stderr.

    Colours are left out if stdout is no terminal, if it is a dumb one, or if `NO_COLOR` is set.

    Args:
        as_json: Whether every line on stdout is one JSON object.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        #: Prints a line above the progress bar, while one is drawn on stderr.
        self.print_above_bar: Callable[[str], None] | None = None
        self._has_colours = (
            sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in {"dumb", "unknown"}
        )

    def note(self, text: str) -> None:
        """Print to stderr what is not a result; further lines are indented."""
        if self.print_above_bar is not None:
            self.print_above_bar(indented_lines(text))
        else:
            _print(sys.stderr, indented_lines(text))

    def queued(self, job_id: str, name: str | None = None) -> None:
        """Report a job that is in the queue."""
        self._line(job_id, name, JobState.QUEUED, "")

    def ended(
        self, job_id: str, outcome: Result | JobFailed | ResultExpired | JobNotFound, name: str | None = None
    ) -> None:
        """Report how a job ended, or that nothing is known about it."""
        if isinstance(outcome, JobNotFound):
            self.not_found(outcome, job_id, name)
            return
        result = outcome.result if isinstance(outcome, ResultExpired) else outcome
        if isinstance(result, Result):
            facts = result.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        else:
            facts = {"code": result.code, "task_id": result.task_id, "field": result.field}
        if isinstance(outcome, Result):
            text = " ".join([*outcome.urls, *([_NOT_KEPT] if outcome.kept is False else [])])
        else:
            error = type(outcome).__name__
            text = f"{error}: {outcome}"
            facts = {"error": error, "message": outcome.message, **facts}
        self._line(job_id, name, state_of(outcome), text, **facts)

    def timed_out(self, job_id: str, name: str | None = None) -> None:
        """Report a job that had not ended in time."""
        self._line(job_id, name, "unfinished", "goes on")

    def downloaded(self, job_id: str, path: Path, *, is_new: bool) -> None:
        """Report a video that is in its file now, or was before."""
        text = str(path) if is_new else f"{path} (was there)"
        self._line(job_id, None, "downloaded", text, path=str(path), is_new=is_new, size_bytes=path.stat().st_size)

    def not_downloaded(self, job_id: str, path: Path, error: Exception) -> None:
        """Report a video that could not be downloaded."""
        self._line(job_id, None, "not_downloaded", f"{path}: {error}", path=str(path), message=str(error))

    def not_found(self, error: JobNotFound, job_id: str, name: str | None = None, key: str = "state") -> None:
        """Report a job that nothing is known about."""
        self._line(job_id, name, "not_found", str(error), key, message=str(error))

    def status(self, status: JobStatus) -> None:
        """Report where a job stands."""
        facts = status.model_dump(mode="json", exclude={"id", "state"}, exclude_none=True, exclude_defaults=True)
        shown = " ".join(
            [f"{name}={quoted(str(value))}" for name, value in facts.items() if name != "labels"]
            # A label may be called like a field.
            + pairs_of(status.labels, prefix="label.")
        )
        if status.urls_expire_at is not None:
            shown = f"{shown} ({_life_of(status.urls_expire_at)})"
        if status.state is JobState.QUEUED:
            shown = "(no worker has recorded it yet)"
        self._line(status.id, None, status.state, shown, **facts)

    def cancelled(self, job_id: str, outcome: CancelOutcome) -> None:
        """Report what became of a request to cancel."""
        self._line(job_id, None, str(outcome), outcome.explanation, key="outcome")

    def _line(self, job_id: str, name: str | None, state: str, text: str, key: str = "state", **facts: Any) -> None:
        if self.as_json:
            line = {"id": job_id, "name": name, key: state, **facts}
            self._write(json.dumps({field: value for field, value in line.items() if value is not None}))
            return
        shown = [one_line(job_id), *([] if name is None else [one_line(name)])]
        shown.append(click.style(state, fg=_COLOURS.get(state)) if self._has_colours else state)
        self._write("  ".join([*shown, *([one_line(text)] if text else [])]))

    def _write(self, line: str) -> None:
        # On the terminal of a bar, a line that does not go through it tears the bar.
        if self.print_above_bar is not None and sys.stdout.isatty():
            self.print_above_bar(line)
        else:
            _print(sys.stdout, line)


def _print(stream: TextIO, line: str) -> None:
    # Not `click.echo`, which writes UTF-8 where the terminal reads ASCII.
    stream.write(f"{line}\n")
    stream.flush()


def _life_of(urls_expire_at: datetime) -> str:
    """Return for how long URLs are still served, for people."""
    left_ms = round((urls_expire_at - datetime.now(UTC)).total_seconds() * 1000)
    return (
        f"the URLs expire in {format_duration(left_ms)}"
        if left_ms > 0
        else f"the URLs expired {format_duration(-left_ms)} ago"
    )
