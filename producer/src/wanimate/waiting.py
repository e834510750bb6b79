"""Waiting for jobs and workers: what to read, what the answers mean, how long to pause; the clients read and sleep."""

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

#: Pause between two reads of the same jobs, in seconds: it starts at the first and grows to the second.
MIN_PAUSE_SECONDS: Final = 0.05
MAX_PAUSE_SECONDS: Final = 0.5
#: Time between two checks whether the jobs are known, and have ended without a result in Celery, in seconds.
MIN_CHECK_SECONDS: Final = 5.0
MAX_CHECK_SECONDS: Final = 60.0
#: However many jobs are waited for, one waiter reads no more results than this in a second.
READS_PER_SECOND: Final = 20_000
#: For how long a wait that has reached Redis before rides out an outage, in seconds. A restart of Redis takes a few.
OUTAGE_SECONDS: Final = 30.0

#: How a job ended; one that nothing is known about is not waited for either.
Ending: TypeAlias = Result | JobFailed | JobNotFound
#: A job that is not waited for any longer, and why.
Ended: TypeAlias = tuple[str, Ending | ResultExpired]


class Found(NamedTuple):
    """What one read has found."""

    #: How those jobs ended that have.
    endings: dict[str, Ending]
    #: The jobs that were looked for if they had no result.
    checked: Collection[str]


def read(store: Store, job_ids: Collection[str], to_check: Collection[str]) -> Found:
    """Read how jobs stand, each given once; of `to_check`, also whether they are unknown, or ended without a result."""
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
    """Jobs that are waited for, with the pauses between reads, which grow, and the time until the time-out."""

    def __init__(self, job_ids: Iterable[str], timeout: float | None) -> None:
        #: Those that have not ended, in order.
        self.pending = dict.fromkeys(job_ids)
        self._timeout = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._pause = MIN_PAUSE_SECONDS

    @property
    def left_seconds(self) -> float | None:
        """The time until the time-out; None without one."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def pause_seconds(self) -> float:
        """Return how long to pause before the next read; raises an error when the time is up."""
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
    """Jobs whose ends are waited for.

    Args:
        job_ids: The jobs.
        timeout: How long to wait for all of them, in seconds; None waits for ever.
        allow_expired: Whether to return results whose URLs the vendor no longer serves; without it those are
            `ResultExpired`.

    Raises:
        InvalidArgument: The time-out is not a number of seconds.
    """

    def __init__(self, job_ids: Iterable[str], timeout: float | None, *, allow_expired: bool = False) -> None:
        super().__init__(job_ids, None if timeout is None else seconds_of(timeout))
        self._allow_expired = allow_expired
        self._check_at, self._until_check = time.monotonic(), MIN_CHECK_SECONDS
        self._reached_at: float | None = None

    @property
    def to_check(self) -> Collection[str]:
        """The jobs that the next read should check: now and then all, otherwise none."""
        return self.pending.keys() if time.monotonic() >= self._check_at else ()

    def take(self, found: Found) -> list[Ended]:
        """Return which jobs have ended, by what was read; it may be about others too."""
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
                # Raised in several tasks, one error would collect the tracebacks of all.
                ended.append((job_id, copy(ending)))
        for job_id, _ in ended:
            del self.pending[job_id]
        # Those that are not found come last: a client raises them.
        return sorted(ended, key=lambda each: isinstance(each[1], JobNotFound))

    def fail(self, error: QueueUnavailable) -> None:
        """Raise the error of a read, unless the outage may still be a short one."""
        if self._reached_at is None or time.monotonic() - self._reached_at > OUTAGE_SECONDS:
            raise error

    def _timed_out(self) -> WaitTimeout:
        first, count, after = next(iter(self.pending)), len(self.pending), f"had not ended after {self._timeout:g} s"
        if count == 1:
            return WaitTimeout(
                f"job {first} {after}; it goes on: wait for it again, from any process, with "
                f"client.job({first!r}).wait()"
            )
        return WaitTimeout(
            f"{count} jobs {after}, {first} among them; they go on: wait for them again, from any process, with "
            "client.job(id).wait()"
        )


class Cancellation(_Patience):
    """A request to cancel a job that was sent, and the answer of a worker to it, which is waited for."""

    def __init__(self, job_id: str, request_id: str, timeout: float) -> None:
        super().__init__([job_id], timeout)
        self._request_id = request_id

    @classmethod
    def request(cls, store: Store, job_id: str, timeout: float) -> Self:
        """Ask the workers to cancel a job, in a message of the highest priority.

        Raises:
            InvalidArgument: The time-out is not a number of seconds.
            JobNotFound: Nothing is known about the job.
        """
        seconds, message = seconds_of(timeout), messages.cancel(job_id)
        (standing,) = store.standings([job_id])
        if not standing.is_known:
            check_exists(store, job_id)
        store.publish(message)
        return cls(job_id, message.id, seconds)

    def answer(self, store: Store) -> CancelOutcome | None:
        """Return what a worker has answered, or raise its error; None while there is no answer."""
        meta = read_meta(store.results([self._request_id])[0])
        if meta is None:
            return None
        store.delete_result(self._request_id)
        if meta["status"] != "SUCCESS":
            raise read_error(meta)
        try:
            return CancelOutcome(meta["result"])
        except ValueError:
            raise WanimateError(f"the worker answered {meta['result']!r}: is it newer than this library?") from None

    def _timed_out(self) -> WorkerUnavailable:
        (job_id,) = self.pending
        return WorkerUnavailable(
            f"no worker answered within {self._timeout:g} s; the request to cancel job {job_id} stays queued "
            "and is carried out when a worker starts. Check that wanimate-worker runs and uses the same Redis"
        )


def seconds_of(given: float, name: str = "timeout") -> float:
    """Return a number of seconds that ends; `name` is what the argument is called."""
    if isinstance(given, bool) or not isinstance(given, Real):
        raise InvalidArgument(f"{name}: a number of seconds is expected, got {type(given).__name__}")
    try:
        seconds = float(given)
    except OverflowError:
        seconds = math.inf
    if math.isnan(seconds) or seconds < 0:
        raise InvalidArgument(f"{name}: a number of seconds that is not negative is expected, got {seconds:g}")
    if math.isinf(seconds):
        raise InvalidArgument(f"{name}: it is infinite; leave it out, or give None, to wait for as long as it takes")
    return seconds
