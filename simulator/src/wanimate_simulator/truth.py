"""The ground truth: what happened, independent of the responses."""

from array import array
from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from statistics import fmean, median

from .outcomes import SUCCESS
from .refusals import Cause
from .slots import Slots
from .task import Task
from .window import SlidingWindow


class Kind(StrEnum):
    """The requests of the vendor's API. Source: the vendor's page, "Endpoints", and its account pages."""

    SUBMIT = "submit"
    STATUS = "status"
    BALANCE = "balance"


@dataclass(slots=True)
class CallbackCounts:
    """What became of the callbacks.

    Args:
        waiting: tasks whose callback is not settled yet.
        sent: POSTs made, repeats included.
        ok: deliveries answered 200.
        failed: deliveries given up after the last try.
        missing: callbacks left out by the fault switch.
        duplicated: callbacks sent twice by the fault switch.
        refused: callbacks not sent because they would leave this machine.
        extras_waiting: extra POSTs not answered yet.
        extras: answers to extra POSTs, by kind and HTTP status; "none" for no answer.
    """

    waiting: int = 0
    sent: int = 0
    ok: int = 0
    failed: int = 0
    missing: int = 0
    duplicated: int = 0
    refused: int = 0
    extras_waiting: int = 0
    extras: dict[str, dict[str, int]] = field(default_factory=dict)

    def answered_extra(self, kind: str, status: int | None) -> None:
        """Count what an extra POST was answered."""
        by_status = self.extras.setdefault(kind, {})
        name = "none" if status is None else str(status)
        by_status[name] = by_status.get(name, 0) + 1


@dataclass(slots=True)
class DownloadCounts:
    """What became of the requests for results, but for those of headers alone.

    Args:
        answers: how many were answered with which HTTP status; "none" for no answer.
        complete: those that got everything up to the end of the file.
        sent_bytes: bytes of videos that were handed to the network.
        open_now: videos that are being sent.
        open_max: most of them at once.
    """

    answers: dict[str, int] = field(default_factory=dict)
    complete: int = 0
    sent_bytes: int = 0
    open_now: int = 0
    open_max: int = 0

    def answered(self, code: int) -> None:
        """Count an answer, 0 for none."""
        name = str(code) if code else "none"
        self.answers[name] = self.answers.get(name, 0) + 1

    def begin(self) -> None:
        """Count a video that begins to be sent."""
        self.open_now += 1
        self.open_max = max(self.open_max, self.open_now)


class Truth:
    """Counts events as they happen, without iterating over all tasks.

    Args:
        window_seconds: real seconds of the vendor's rate window.
    """

    def __init__(self, window_seconds: float) -> None:
        self.received = SlidingWindow(window_seconds)
        self.callbacks = CallbackCounts()
        self.downloads = DownloadCounts()
        self._requests: Counter[Kind] = Counter()
        self._refusals: dict[Kind, Counter[int]] = {kind: Counter() for kind in Kind}
        self._throttled: Counter[Cause] = Counter()
        self._accepted = 0
        self._billed_seconds = 0.0
        self._first_accepted_at_seconds = 0.0
        self._last_accepted_at_seconds = 0.0
        self._violations_of_cap = 0
        self._duplicates: dict[str, int] = {}
        self._ended: Counter[str] = Counter()
        self._last_completed_at_seconds = 0.0
        self._polls = 0
        self._polls_max = 0
        self._lags_ms = array("d")

    def requested(self, kind: Kind) -> None:
        """Count a request of any sender."""
        self._requests[kind] += 1

    def refused(self, kind: Kind, code: int, cause: Cause | None) -> None:
        """Count an error answer."""
        self._refusals[kind][code] += 1
        if cause is not None:
            self._throttled[cause] += 1

    def overran_cap(self) -> None:
        """Count a submit that would have exceeded the cap."""
        self._violations_of_cap += 1

    def accepted(self, task: Task, *, marked: bool) -> None:
        """Count an accepted task, and its marker if the request named one itself."""
        if not self._accepted:
            self._first_accepted_at_seconds = task.accepted_at_seconds
        self._accepted += 1
        self._billed_seconds += task.billed_seconds
        self._last_accepted_at_seconds = task.accepted_at_seconds
        if marked and task.attempt > 1:
            self._duplicates[task.marker] = task.attempt

    def completed(self, task: Task) -> None:
        """Count the end of a task."""
        self._ended[task.outcome] += 1
        self._last_completed_at_seconds = task.completes_at_seconds

    def polled(self, task: Task) -> None:
        """Count a status request that reached a task."""
        task.polls += 1
        self._polls += 1
        self._polls_max = max(self._polls_max, task.polls)

    def told(self, task: Task, at_seconds: float) -> None:
        """Record the first status response with a task's end."""
        if task.first_told_at_seconds is None:
            task.first_told_at_seconds = at_seconds
            self._lags_ms.append((at_seconds - task.completes_at_seconds) * 1000)

    def summary(self, slots: Slots, cap: int) -> dict[str, object]:
        """Return the totals; the slots must have been released up to now."""
        refusals = self._refusals
        ended = sum(self._ended.values())
        return {
            "accepted": self._accepted,
            "billed_seconds": round(self._billed_seconds, 6),
            "rejected_by_code": _by_code(refusals[Kind.SUBMIT]),
            "status_errors_by_code": _by_code(refusals[Kind.STATUS]),
            "balance_errors_by_code": _by_code(refusals[Kind.BALANCE]),
            "in_flight_now": slots.in_use,
            "in_flight_max": slots.in_use_max,
            "cap": cap,
            "violations_of_cap": self._violations_of_cap,
            "requests_total": self._requests.total(),
            "submits_total": self._requests[Kind.SUBMIT],
            "statuses_total": self._requests[Kind.STATUS],
            "balances_total": self._requests[Kind.BALANCE],
            "requests_window_max": self.received.maximum,
            "window_seconds": self.received.length_seconds,
            "count_429": {cause.value: self._throttled[cause] for cause in Cause},
            "duplicates": [{"marker": marker, "accepted": times} for marker, times in self._duplicates.items()],
            "completed": ended,
            "succeeded": self._ended[SUCCESS],
            "failed": ended - self._ended[SUCCESS],
            "failed_by_code": {code: times for code, times in sorted(self._ended.items()) if code != SUCCESS},
            "polls_per_task": {
                "mean": self._polls / self._accepted if self._accepted else None,
                "max": self._polls_max,
            },
            "first_told_lag_ms": self._lags(),
            "callbacks": asdict(self.callbacks),
            "downloads": asdict(self.downloads),
            "makespan_seconds": self._last_completed_at_seconds - self._first_accepted_at_seconds if ended else None,
            "slot_use": self._slot_use(slots, cap),
        }

    def _lags(self) -> dict[str, object]:
        lags = self._lags_ms
        if not lags:
            return {"count": 0, "mean": None, "median": None, "max": None}
        return {"count": len(lags), "mean": fmean(lags), "median": median(lags), "max": max(lags)}

    def _slot_use(self, slots: Slots, cap: int) -> float | None:
        span_seconds = self._last_accepted_at_seconds - self._first_accepted_at_seconds
        return slots.area_at_last_take / (span_seconds * cap) if span_seconds > 0 else None


def _by_code(counts: Counter[int]) -> dict[str, int]:
    return {str(code): counts[code] for code in sorted(counts)}
