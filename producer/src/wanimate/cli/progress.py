"""Shows the progress of a batch: a bar on a terminal, otherwise a plain line every ten seconds."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from ..contract import JobState
from ..text import counted, format_duration
from .output import EXPIRED, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.console import RenderableType

    from ..contract import Result
    from ..errors import JobFailed, ResultExpired
    from .output import Output

#: Seconds between two reads of the number of jobs in flight.
_COUNT_INTERVAL_SECONDS: Final = 1.0
#: Seconds between two plain lines.
_PLAIN_INTERVAL_SECONDS: Final = 10.0
#: Seconds over which the rate is measured.
_RATE_SECONDS: Final = 60.0
#: There is no ETA before so many jobs have ended, in at least so many seconds.
_MIN_ENDED_FOR_ETA: Final = 5
_MIN_PACE_SECONDS: Final = 5.0
#: Jobs that end so soon after the enqueueing had ended in an earlier run, and do not count for the rate.
_EARLIER_SECONDS: Final = 2.0


class BatchProgress:
    """Counts the jobs of a batch by state and shows them on stderr.

    Args:
        output: The output of the command.
        total: The number of jobs.
    """

    def __init__(self, output: Output, total: int) -> None:
        self._output = output
        self._total = total
        self._counts: Counter[str] = Counter()
        #: Whether every job is certainly in the queue.
        self.is_enqueued = False
        self._enqueued_at = 0.0
        self._enqueued = 0
        self._in_flight = self._keeping = 0
        self._counted_at = 0.0
        self._started = self._shown = time.monotonic()
        self._ends: deque[float] = deque()
        self._bar: _Bar | None = None
        console = Console(stderr=True, emoji=False, markup=False, highlight=False, soft_wrap=True)
        if console.is_terminal and not console.is_dumb_terminal:
            self._bar = _Bar(
                BarColumn(bar_width=None, complete_style="cyan"),
                MofNCompleteColumn(),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                console=console,
                # `Output` passes lines for this terminal through the bar's console; stdout may be a file or a pipe.
                redirect_stdout=False,
                redirect_stderr=False,
                transient=True,
                expand=True,
            )
            self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._output.print_above_bar = self._print_above
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._output.print_above_bar = None

    def _print_above(self, line: str) -> None:
        assert self._bar is not None, "a bar is drawn"  # noqa: S101
        self._bar.console.print(Text.from_ansi(line))

    def enqueued(self) -> None:
        """Count a job that is being enqueued."""
        self._enqueued += 1
        self._show()

    def all_enqueued(self) -> None:
        """Note that every job is in the queue."""
        self.is_enqueued = True
        self._enqueued_at = time.monotonic()
        self._show()

    def ended(self, outcome: Result | JobFailed | ResultExpired) -> None:
        """Count a job that has ended."""
        self._counts[state_of(outcome)] += 1
        now = time.monotonic()
        if now >= self._enqueued_at + _EARLIER_SECONDS:
            self._ends.append(now)
        self._show()

    def read_at_work(self, count: Callable[[], tuple[int, int]]) -> None:
        """Read at intervals how many jobs of the batch are in flight, and how many videos are being copied."""
        if time.monotonic() - self._counted_at >= _COUNT_INTERVAL_SECONDS:
            (self._in_flight, self._keeping), self._counted_at = count(), time.monotonic()
            self._show()

    def summary(self) -> str:
        """Return the totals of the batch in one line."""
        counts = ", ".join(f"{self._counts[state]:,} {state}" for state in (JobState.SUCCEEDED, JobState.FAILED))
        left = self._total - self._counts.total()
        others = [
            (self._counts[JobState.CANCELLED], "cancelled"),
            (self._counts[EXPIRED], EXPIRED),
            (left, "unfinished"),
        ]
        parts = [counts, *(f"{count:,} {what}" for count, what in others if count)]
        duration_ms = round(1000 * (time.monotonic() - self._started))
        return f"{counted(self._total, 'job')}: {', '.join(parts)} ({format_duration(duration_ms)})"

    def _states(self) -> str:
        ended = self._counts.total()
        if not ended and not self.is_enqueued:
            return f"{self._enqueued} enqueued"
        states = [f"{count} {state}" for state, count in sorted(self._counts.items()) if count]
        in_flight = min(self._in_flight, self._total - ended)
        keeping = min(self._keeping, self._total - ended - in_flight)
        states += [f"{in_flight} in flight", *([f"{keeping} keeping"] if keeping else [])]
        return ", ".join([*states, f"{self._total - ended - in_flight - keeping} waiting"])

    def _pace(self) -> str:
        """Return the rate at which jobs end, and the ETA of the last one at this rate."""
        now = time.monotonic()
        while self._ends and self._ends[0] < now - _RATE_SECONDS:
            self._ends.popleft()
        if len(self._ends) < _MIN_ENDED_FOR_ETA or now - self._ends[0] < _MIN_PACE_SECONDS:
            return "ETA -"
        # Measured from the first end: the time before it does not depend on the rate.
        rate = (len(self._ends) - 1) / (now - self._ends[0])
        rate_text = f"{rate:.1f}/s" if rate >= 1 else f"{rate * 60:.1f}/min"
        remaining_ms = round(1000 * (self._total - self._counts.total()) / rate)
        return f"{rate_text} ETA {format_duration(remaining_ms)}"

    def _show(self) -> None:
        now = time.monotonic()
        if self._bar is not None:
            self._bar.states = self._states()
            self._bar.update(self._task, completed=self._counts.total(), description=self._pace())
        elif now - self._shown >= _PLAIN_INTERVAL_SECONDS:
            self._shown = now
            self._output.note(f"{self._counts.total()}/{self._total}: {self._states()}; {self._pace()}")


class DownloadProgress:
    """Shows a bar for each download on a terminal.

    Args:
        output: The output of the command; its lines appear above the bars.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._bars: Progress | None = None
        console = Console(stderr=True, emoji=False, markup=False, highlight=False, soft_wrap=True)
        if console.is_terminal and not console.is_dumb_terminal:
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None, complete_style="cyan"),
                DownloadColumn(binary_units=True),
                TransferSpeedColumn(),
                console=console,
                redirect_stdout=False,
                redirect_stderr=False,
                transient=True,
                expand=True,
            )

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
            self._output.print_above_bar = self._print_above
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._output.print_above_bar = None

    def _print_above(self, line: str) -> None:
        assert self._bars is not None, "bars are drawn"  # noqa: S101
        self._bars.console.print(Text.from_ansi(line))

    def of(self, name: str) -> Callable[[int, int | None], None]:
        """Return a function that updates the bar of a file with the bytes received and their total."""
        bars, task = self._bars, None

        def show(received: int, total: int | None) -> None:
            nonlocal task
            if bars is None:
                return
            if task is None:
                task = bars.add_task(name, total=total)
            bars.update(task, completed=received, total=total, visible=received != total)

        return show


class _Bar(Progress):
    """A bar, and below it the counts by state: one line of 80 characters is too short for both."""

    states = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the lines to draw; rich calls this."""
        yield self.make_tasks_table(self.tasks)
        yield Text(self.states, no_wrap=True, overflow="ellipsis")
