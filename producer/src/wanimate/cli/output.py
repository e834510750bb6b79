"""Writes results to stdout, as text or JSON lines, and messages to stderr."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from ..contract import JobState, Result
from ..errors import JobCancelled, JobFailed, JobNotFound, ResultExpired
from ..text import indented_lines, one_line
from .status_lines import details_of, summary_of

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
_NOT_KEPT: Final = "(not copied to your store before the vendor deleted it)"
#: The width of the facts below the first line of a status, and where their texts begin.
_DETAILS_INDENT: Final = 13
_DETAILS_WIDTH: Final = 80 - _DETAILS_INDENT
#: Shown as the state of a job that succeeded and whose URLs have expired.
EXPIRED: Final = "expired"


def state_of(outcome: Result | JobFailed | ResultExpired) -> str:
    """Return the final state of a job with this outcome."""
    if isinstance(outcome, ResultExpired):
        return EXPIRED
    if isinstance(outcome, Result):
        return JobState.SUCCEEDED
    return JobState.CANCELLED if isinstance(outcome, JobCancelled) else JobState.FAILED


class Output:
    """Writes results to stdout and messages to stderr.

    There are colours on a terminal only, and none if `NO_COLOR` is set.

    Args:
        as_json: Whether every line on stdout is one JSON object.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        #: Prints a line above the progress bar on stderr, while there is one.
        self.print_above_bar: Callable[[str], None] | None = None
        self._has_colours = (
            sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in {"dumb", "unknown"}
        )

    def note(self, text: str) -> None:
        """Print a message to stderr; lines after the first are indented."""
        text = fitted(indented_lines(text), sys.stderr)
        if self.print_above_bar is not None:
            self.print_above_bar(text)
        else:
            _print(sys.stderr, text)

    def queued(self, job_id: str, name: str | None = None) -> None:
        """Report an enqueued job."""
        self._line(job_id, name, JobState.QUEUED, "")

    def ended(
        self, job_id: str, outcome: Result | JobFailed | ResultExpired | JobNotFound, name: str | None = None
    ) -> None:
        """Report the outcome of a job, or that it was not found."""
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
        """Report a job that had not ended before the timeout."""
        self._line(job_id, name, "unfinished", "the job continues")

    def downloaded(self, job_id: str, path: Path, *, is_new: bool) -> None:
        """Report a downloaded video, or one that was complete before."""
        text = str(path) if is_new else f"{path} (already complete)"
        self._line(job_id, None, "downloaded", text, path=str(path), is_new=is_new, size_bytes=path.stat().st_size)

    def not_downloaded(self, job_id: str, path: Path, error: Exception) -> None:
        """Report a video that could not be downloaded."""
        self._line(job_id, None, "not_downloaded", f"{path}: {error}", path=str(path), message=str(error))

    def not_found(self, error: JobNotFound, job_id: str, name: str | None = None, key: str = "state") -> None:
        """Report a job that was not found."""
        self._line(job_id, name, "not_found", str(error), key, message=str(error))

    def status(self, status: JobStatus) -> None:
        """Report the status of a job: state and ETA on the first line, then one fact per line."""
        if self.as_json:
            facts = status.model_dump(mode="json", exclude={"id", "state"}, exclude_none=True, exclude_defaults=True)
            self._line(status.id, None, status.state, "", **facts)
            return
        self._line(status.id, None, status.state, summary_of(status))
        for name, text in details_of(status):
            indent = " " * _DETAILS_INDENT
            # Words stay whole: one of them is the URL of the result.
            wrapped = textwrap.wrap(one_line(text), _DETAILS_WIDTH, break_long_words=False, break_on_hyphens=False)
            self._write(f"  {name:<{_DETAILS_INDENT - 2}}" + f"\n{indent}".join(wrapped))

    def cancelled(self, job_id: str, outcome: CancelOutcome) -> None:
        """Report the outcome of a request to cancel."""
        self._line(job_id, None, str(outcome), outcome.explanation, key="outcome")

    def _line(self, job_id: str, name: str | None, state: str, text: str, key: str = "state", **facts: Any) -> None:
        if self.as_json:
            line = {"id": job_id, "name": name, key: state, **facts}
            self._write(json.dumps({field: value for field, value in line.items() if value is not None}))
            return
        shown = [one_line(job_id), *([] if name is None else [one_line(name)])]
        shown.append(click.style(state, fg=_COLOURS.get(state)) if self._has_colours else state)
        self._write(fitted("  ".join([*shown, *([one_line(text)] if text else [])]), sys.stdout))

    def _write(self, line: str) -> None:
        # A line written past the progress bar of the same terminal would garble it.
        if self.print_above_bar is not None and sys.stdout.isatty():
            self.print_above_bar(line)
        else:
            _print(sys.stdout, line)


def fitted(text: str, stream: TextIO) -> str:
    """Return a text in lines that fit the terminal; indented ones, such as commands to copy, stay whole."""
    if not stream.isatty():
        return text
    columns = shutil.get_terminal_size().columns
    lines = []
    for line in text.split("\n"):
        # Long words stay whole: one of them may be a URL.
        wrap = textwrap.TextWrapper(columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        lines += [line] if line.startswith(" ") else wrap.wrap(line)
    return "\n".join(lines)


def _print(stream: TextIO, line: str) -> None:
    # Not `click.echo`: it writes UTF-8 to a terminal that reads ASCII.
    stream.write(f"{line}\n")
    stream.flush()
