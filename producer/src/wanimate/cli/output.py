"""Lines on stdout for people or for programs; notes on stderr."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.text import Text

from ..contract import JobState, Result
from ..errors import JobCancelled, JobFailed, ResultExpired
from ..text import indented_lines, one_line, pairs_of, quoted, spelled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..contract import CancelOutcome, JobStatus
    from ..errors import JobNotFound

_STYLES: Final[Mapping[str, str]] = {"succeeded": "green", "failed": "red", "cancelled": "yellow", "expired": "yellow"}


#: What is shown in place of a state where a job succeeded and its videos are gone.
EXPIRED: Final = "expired"


def state_of(outcome: Result | JobFailed | ResultExpired) -> str:
    """Return the final state that an outcome stands for."""
    if isinstance(outcome, ResultExpired):
        return EXPIRED
    if isinstance(outcome, Result):
        return JobState.SUCCEEDED
    return JobState.CANCELLED if isinstance(outcome, JobCancelled) else JobState.FAILED


class _Console(Console):
    """A console whose reader may go away, as in `wanimate wait ID... | head`."""

    def on_broken_pipe(self) -> None:
        """Raise what an older rich lets through; a newer one would end the process itself."""
        raise BrokenPipeError


class Output:
    """Writes results to stdout and notes to stderr.

    Colours are left out when the stream is no terminal or `NO_COLOR` is set.

    Args:
        as_json: Whether every line on stdout is one JSON object.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        #: Whether a progress bar is being drawn on stderr.
        self.has_bar = False
        self.stdout = _Console(emoji=False, markup=False, highlight=False, soft_wrap=True)
        self.stderr = _Console(stderr=True, emoji=False, markup=False, highlight=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """Tell a person something that is not a result; further lines are indented."""
        self.stderr.print(indented_lines(text))

    def queued(self, job_id: str, name: str | None = None) -> None:
        """Report a job that is in the queue."""
        self._line(job_id, name, JobState.QUEUED, "")

    def ended(self, job_id: str, outcome: Result | JobFailed | ResultExpired, name: str | None = None) -> None:
        """Report how a job ended."""
        state = state_of(outcome)
        if isinstance(outcome, Result):
            facts = outcome.model_dump(mode="json", exclude_none=True)
            self._line(job_id, name, state, " ".join(outcome.urls), **facts)
        elif isinstance(outcome, ResultExpired):
            facts = outcome.result.model_dump(mode="json", exclude_none=True)
            error = type(outcome).__name__
            self._line(job_id, name, state, f"{error}: {outcome}", error=error, message=outcome.message, **facts)
        else:
            self._line(
                job_id,
                name,
                state,
                f"{type(outcome).__name__}: {outcome}",
                error=type(outcome).__name__,
                message=outcome.message,
                code=outcome.code,
                task_id=outcome.task_id,
                field=outcome.field,
            )

    def timed_out(self, job_id: str, name: str | None = None) -> None:
        """Report a job that had not ended in time."""
        self._line(job_id, name, "unfinished", "goes on")

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
            self._write(Text(json.dumps({field: value for field, value in line.items() if value is not None})))
            return
        shown = Text(one_line(job_id))
        if name is not None:
            shown.append(f"  {one_line(name)}")
        shown.append("  ").append(state, style=_STYLES.get(state, ""))
        if text:
            shown.append(f"  {one_line(text)}")
        self._write(shown)

    def _write(self, line: Text) -> None:
        # With a bar on the same terminal, the line must pass through the bar's console or it tears the bar.
        through_bar = self.has_bar and sys.stdout.isatty()
        (self.stderr if through_bar else self.stdout).print(line)


def _life_of(urls_expire_at: datetime) -> str:
    """Return for how long URLs are still served, for people."""
    left_ms = round((urls_expire_at - datetime.now(UTC)).total_seconds() * 1000)
    return f"the URLs expire in {spelled(left_ms)}" if left_ms > 0 else f"the URLs expired {spelled(-left_ms)} ago"
