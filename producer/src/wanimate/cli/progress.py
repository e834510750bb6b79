"""How a batch is getting on: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Final, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..contract import JobState
from .output import state_of

if TYPE_CHECKING:
    from types import TracebackType

    from ..contract import Result
    from ..errors import JobFailed
    from .output import Output

#: Seconds between two plain lines.
_PLAIN_INTERVAL_SECONDS: Final = 10.0


class BatchProgress:
    """Counts what happens to the jobs of a batch and shows it on stderr.

    Args:
        output: Where it is shown.
        total: The number of jobs.
    """

    def __init__(self, output: Output, total: int) -> None:
        self._output = output
        self._total = total
        self._counts: Counter[JobState] = Counter()
        self._enqueued = 0
        self._in_flight = 0
        self._started = self._shown = time.monotonic()
        self._bar: Progress | None = None
        if output.stderr.is_terminal:
            self._bar = Progress(
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                TextColumn("ETA"),
                TimeRemainingColumn(),
                console=output.stderr,
                # stdout may be a file or a pipe; `Output` decides which lines pass through the bar's console.
                redirect_stdout=False,
                redirect_stderr=False,
                transient=True,
            )
            self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._output.has_bar = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._output.has_bar = False

    def enqueued(self) -> None:
        """Count a job that is being enqueued."""
        self._enqueued += 1
        self._show()

    def ended(self, outcome: Result | JobFailed) -> None:
        """Count a job that has ended."""
        self._counts[state_of(outcome)] += 1
        self._show()

    def in_flight(self, jobs: int) -> None:
        """Take over how many jobs of the batch hold an upstream slot."""
        self._in_flight = jobs
        self._show()

    def summary(self) -> str:
        """Return what became of the batch, in one line."""
        counts = ", ".join(f"{self._counts[state]} {state}" for state in (JobState.SUCCEEDED, JobState.FAILED))
        cancelled = self._counts[JobState.CANCELLED]
        left = self._total - self._counts.total()
        parts = [counts, *([f"{cancelled} cancelled"] if cancelled else []), *([f"{left} go on"] if left else [])]
        return f"{self._total} jobs: {', '.join(parts)}, after {time.monotonic() - self._started:.0f} s"

    def _describe(self) -> str:
        ended = self._counts.total()
        if not ended and self._enqueued < self._total:
            return f"{self._enqueued} enqueued"
        states = [f"{count} {state}" for state, count in sorted(self._counts.items()) if count]
        in_flight = min(self._in_flight, self._total - ended)
        states += [f"{in_flight} in flight", f"{self._total - ended - in_flight} waiting"]
        rate = ended / max(time.monotonic() - self._started, 0.001)
        return f"{', '.join(states)}; {rate:.1f}/s"

    def _show(self) -> None:
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, completed=self._counts.total(), description=self._describe())
        elif now - self._shown >= _PLAIN_INTERVAL_SECONDS:
            self._shown = now
            self._output.note(f"{self._counts.total()} of {self._total}: {self._describe()}")
