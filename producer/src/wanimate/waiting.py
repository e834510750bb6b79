"""Decides what to read next and how long to pause while waiting for jobs or workers; the clients read and sleep."""

from __future__ import annotations

import math
import time
from copy import copy
from numbers import Real
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from . import messages
from .contract import CancelOutcome, Result
from .errors import (
    InvalidArgument,
    JobFailed,
    JobNotFound,
    QueueUnavailable,
    ResultExpired,
    WaitTimeout,
    WanimateError,
    WorkerUnavailable,
)
from .outcomes import ending_of_record, read_ending, read_error, read_meta
from .status import check_exists

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Self

    from .redis.store import Store

#: Pause between two reads of the same jobs, in seconds: it grows from the first to the second.
MIN_PAUSE_SECONDS: Final = 0.05
MAX_PAUSE_SECONDS: Final = 0.5
#: Time between two checks whether jobs exist, and whether they ended without a result in Celery, in seconds.
MIN_CHECK_SECONDS: Final = 5.0
MAX_CHECK_SECONDS: Final = 60.0
#: Bound on the results that one wait reads per second, for any number of jobs.
READS_PER_SECOND: Final = 20_000
#: A wait that has reached Redis before tolerates an outage of this length, in seconds: a restart takes a few.
OUTAGE_SECONDS: Final = 30.0

#: The outcome of a job; waiting also ends for a job that does not exist.
Ending: TypeAlias = Result | JobFailed | JobNotFound
#: A job whose wait is over, and its outcome.
Ended: TypeAlias = tuple[str, Ending | ResultExpired]


class Found(NamedTuple):
    """The answer of one read."""

    #: The outcomes of ended jobs.
    endings: dict[str, Ending]
    #: The jobs that were checked if they had no result.
    checked: Collection[str]


def read(store: Store, job_ids: Collection[str], to_check: Collection[str]) -> Found:
    """Read the outcomes of jobs, each given once; check whether those in `to_check` exist or ended without a result."""
    results = zip(job_ids, map(read_ending, store.results(list(job_ids))), strict=True)
    endings: dict[str, Ending] = {job_id: ending for job_id, ending in results if ending is not None}
    unfinished = [job_id for job_id in to_check if job_id not in endings]
    unknown: list[str] = []
    for job_id, standing in zip(unfinished, store.standings(unfinished), strict=True):
        if standing.outcome is not None:
            endings[job_id] = ending_of_record(standing.outcome)
        elif not standing.is_known:
            unknown.append(job_id)
    endings |= {job_id: JobNotFound.of(job_id) for job_id in store.absent(unknown)}
    return Found(endings, to_check)


class _Patience:
    """Pending jobs, the growing pauses between reads, and the timeout."""

    def __init__(self, job_ids: Iterable[str], timeout: float | None) -> None:
        #: Jobs that have not ended, in order.
        self.pending = dict.fromkeys(job_ids)
        self._timeout = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._pause = MIN_PAUSE_SECONDS

    @property
    def left_seconds(self) -> float | None:
        """The time until the timeout; None without one."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def pause_seconds(self) -> float:
        """Return the pause before the next read; raise an error after the timeout."""
        pause = max(self._pause, len(self.pending) / READS_PER_SECOND)
        self._pause = min(self._pause * 1.5, MAX_PAUSE_SECONDS)
        left_seconds = self.left_seconds
        if left_seconds is None:
            return pause
        if not left_seconds:
            raise self._timed_out()
        return min(pause, left_seconds)

    def _timed_out(self) -> WanimateError:
        raise NotImplementedError


class Wait(_Patience):
    """A wait for the outcomes of jobs.

    Args:
        job_ids: The jobs.
        timeout: Timeout for all of them, in seconds; None waits indefinitely.
        allow_expired: Whether to return results with expired URLs instead of `ResultExpired`.

    Raises:
        InvalidArgument: The timeout is not a number of seconds.
    """

    def __init__(self, job_ids: Iterable[str], timeout: float | None, *, allow_expired: bool = False) -> None:
        super().__init__(job_ids, None if timeout is None else seconds_of(timeout))
        self._allow_expired = allow_expired
        self._check_at, self._until_check = time.monotonic(), MIN_CHECK_SECONDS
        self._reached_at: float | None = None

    @property
    def to_check(self) -> Collection[str]:
        """The jobs that the next read should check: all of them at intervals, otherwise none."""
        return self.pending.keys() if time.monotonic() >= self._check_at else ()

    def take(self, found: Found) -> list[Ended]:
        """Return the jobs that have ended by this answer, which may be about other jobs as well."""
        self._reached_at = time.monotonic()
        if all(job_id in found.checked for job_id in self.pending):
            self._check_at = self._reached_at + self._until_check
            self._until_check = min(2 * self._until_check, MAX_CHECK_SECONDS)
        ended: list[Ended] = []
        for job_id in self.pending:
            ending = found.endings.get(job_id)
            if isinstance(ending, Result) and ending.is_expired and not self._allow_expired:
                ended.append((job_id, ResultExpired.of(job_id, ending)))
            elif ending is not None:
                # A copy: an error raised in several tasks would collect all their tracebacks.
                ended.append((job_id, copy(ending)))
        for job_id, _ in ended:
            del self.pending[job_id]
        # Jobs that were not found come last, because a client raises them.
        return sorted(ended, key=lambda each: isinstance(each[1], JobNotFound))

    def fail(self, error: QueueUnavailable) -> None:
        """Raise the error of a read, unless the outage is still short."""
        if self._reached_at is None or time.monotonic() - self._reached_at > OUTAGE_SECONDS:
            raise error

    def _timed_out(self) -> WaitTimeout:
        first, count, after = next(iter(self.pending)), len(self.pending), f"did not end within {self._timeout:g} s"
        if count == 1:
            return WaitTimeout(
                f"job {first} {after}; it continues. To wait again, from any process: client.job({first!r}).wait()"
            )
        return WaitTimeout(
            f"{count} jobs {after}, such as {first}; they continue. To wait again, from any process: "
            "client.job(id).wait()"
        )


class Cancellation(_Patience):
    """A wait for a worker's response to a request to cancel a job."""

    def __init__(self, job_id: str, request_id: str, timeout: float) -> None:
        super().__init__([job_id], timeout)
        self._request_id = request_id

    @classmethod
    def request(cls, store: Store, job_id: str, timeout: float) -> Self:
        """Send the request in a message of the highest priority.

        Raises:
            InvalidArgument: The timeout is not a number of seconds.
            JobNotFound: There is no such job.
        """
        seconds, message = seconds_of(timeout), messages.cancel(job_id)
        (standing,) = store.standings([job_id])
        if not standing.is_known:
            check_exists(store, job_id)
        store.publish(message)
        return cls(job_id, message.id, seconds)

    def answer(self, store: Store) -> CancelOutcome | None:
        """Return the worker's response or raise its error; None if there is no response yet."""
        meta = read_meta(store.results([self._request_id])[0])
        if meta is None:
            return None
        store.delete_result(self._request_id)
        if meta["status"] != "SUCCESS":
            raise read_error(meta)
        try:
            return CancelOutcome(meta["result"])
        except ValueError:
            raise WanimateError(f"unexpected response of the worker, {meta['result']!r}: upgrade wanimate") from None

    def _timed_out(self) -> WorkerUnavailable:
        (job_id,) = self.pending
        return WorkerUnavailable(
            f"no worker responded within {self._timeout:g} s; the request to cancel job {job_id} stays queued until a "
            "worker runs. Check that workers run and use the same Redis"
        )


def seconds_of(given: float, name: str = "timeout") -> float:
    """Return a finite number of seconds; `name` is the name of the argument."""
    if isinstance(given, bool) or not isinstance(given, Real):
        raise InvalidArgument(f"{name}: expected a number of seconds, got {type(given).__name__}")
    try:
        seconds = float(given)
    except OverflowError:
        seconds = math.inf
    if math.isnan(seconds) or seconds < 0:
        raise InvalidArgument(f"{name}: expected 0 or more seconds, got {seconds:g}")
    if math.isinf(seconds):
        raise InvalidArgument(f"{name}: expected a finite number of seconds; use None to wait indefinitely")
    return seconds
