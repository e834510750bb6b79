"""Waiting for jobs: what to read, what the answers mean and how long to pause; the clients read and sleep."""

from __future__ import annotations

import time
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from .contract import CancelOutcome, Result
from .errors import (
    JobFailed,
    JobNotFound,
    QueueUnavailable,
    ResultExpired,
    WaitTimeout,
    WanimateError,
    WorkerUnavailable,
)
from .outcomes import ending_of_record, read_ending, read_error, read_meta
from .redis.presence import Presence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

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

#: A job that is not waited for any longer, and why.
Ended: TypeAlias = tuple[str, Result | JobFailed | ResultExpired | JobNotFound]


@dataclass(frozen=True, slots=True)
class Found:
    """What one read has found.

    Args:
        outcomes: How jobs ended; those that have not are not in it.
        missing: Jobs that nothing is known about.
        checked: Jobs that were looked for if they had no result.
    """

    outcomes: dict[str, Result | JobFailed]
    missing: frozenset[str]
    checked: Collection[str]


def read(store: Store, job_ids: Collection[str], to_check: Collection[str] = ()) -> Found:
    """Read how jobs stand.

    Args:
        store: Where.
        job_ids: The jobs, each once.
        to_check: Those of them to check if they have no result: whether they are known, or have ended without one.
    """
    endings = zip(job_ids, map(read_ending, store.results(list(job_ids))), strict=True)
    outcomes = {job_id: ending for job_id, ending in endings if ending is not None}
    unfinished = [job_id for job_id in to_check if job_id not in outcomes]
    unknown: list[str] = []
    for job_id, standing in zip(unfinished, store.standings(unfinished), strict=True):
        if standing.outcome is not None:
            outcomes[job_id] = ending_of_record(standing.outcome)
        elif not standing.is_known:
            unknown.append(job_id)
    presences = store.find_jobs(unknown) if unknown else {}
    missing = frozenset(job_id for job_id, presence in presences.items() if presence is Presence.ABSENT)
    return Found(outcomes, missing, to_check)


class Wait:
    """Jobs that are waited for.

    Args:
        job_ids: The jobs.
        timeout: How long to wait for all of them, in seconds; None waits for ever.
        allow_expired: Whether to return results whose URLs the vendor no longer serves; without it those are
            `ResultExpired`.
    """

    def __init__(self, job_ids: Iterable[str], timeout: float | None, *, allow_expired: bool = False) -> None:
        #: Those that have not ended, in order.
        self.pending = dict.fromkeys(job_ids)
        self._timeout, self._allow_expired = timeout, allow_expired
        now = time.monotonic()
        self._deadline = None if timeout is None else now + timeout
        self._pause = MIN_PAUSE_SECONDS
        self._check_at, self._until_check = now, MIN_CHECK_SECONDS
        self._reached_at: float | None = None

    @property
    def to_check(self) -> Collection[str]:
        """The jobs that the next read should check: now and then all, otherwise none."""
        return self.pending.keys() if time.monotonic() >= self._check_at else ()

    @property
    def left_seconds(self) -> float | None:
        """The time until the time-out; None without one."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def take(self, found: Found) -> list[Ended]:
        """Return which jobs have ended, by what was read; it may be about others too."""
        self._reached_at = time.monotonic()
        if all(job_id in found.checked for job_id in self.pending):
            self._check_at = self._reached_at + self._until_check
            self._until_check = min(2 * self._until_check, MAX_CHECK_SECONDS)
        ended: list[Ended] = []
        for job_id in self.pending:
            outcome = found.outcomes.get(job_id)
            if isinstance(outcome, Result) and outcome.is_expired and not self._allow_expired:
                ended.append((job_id, ResultExpired.of(job_id, outcome)))
            elif isinstance(outcome, Result):
                ended.append((job_id, outcome))
            elif outcome is not None:
                # Raised in several tasks, one object would collect the tracebacks of all.
                ended.append((job_id, copy(outcome)))
        # Last: a client raises them.
        ended += [(job_id, JobNotFound.of(job_id)) for job_id in self.pending if job_id in found.missing]
        for job_id, _ in ended:
            del self.pending[job_id]
        return ended

    def fail(self, error: QueueUnavailable) -> None:
        """Raise the error of a read, unless the outage may still be a short one."""
        if self._reached_at is None or time.monotonic() - self._reached_at > OUTAGE_SECONDS:
            raise error

    def pause_seconds(self) -> float:
        """Return how long to pause before the next read.

        Raises:
            WaitTimeout: The time is up.
        """
        pause = max(self._pause, len(self.pending) / READS_PER_SECOND)
        self._pause = min(self._pause * 1.5, MAX_PAUSE_SECONDS)
        left_seconds = self.left_seconds
        if left_seconds is None:
            return pause
        if not left_seconds:
            raise self._timed_out()
        return min(pause, left_seconds)

    def _timed_out(self) -> WaitTimeout:
        first = next(iter(self.pending))
        if len(self.pending) == 1:
            return WaitTimeout(
                f"job {first} had not ended after {self._timeout:g} s; it goes on: wait for it again, from any "
                f"process, with client.job({first!r}).wait()"
            )
        return WaitTimeout(
            f"{len(self.pending)} jobs had not ended after {self._timeout:g} s, {first} among them; they go on: wait "
            "for them again, from any process, with client.job(id).wait()"
        )


class Reply:
    """The answer of a worker to a request to cancel a job.

    Args:
        job_id: The job.
        request_id: The Celery task id of the request.
        timeout: How long to wait for it, in seconds.
    """

    def __init__(self, job_id: str, request_id: str, timeout: float) -> None:
        self._job_id, self._request_id, self._timeout = job_id, request_id, timeout
        self._deadline = time.monotonic() + timeout
        self._pause = MIN_PAUSE_SECONDS

    def read(self, store: Store) -> CancelOutcome | None:
        """Return the answer; None while there is none.

        Raises:
            JobNotFound: The worker knows nothing about the job.
            WanimateError: The worker failed.
        """
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

    def pause_seconds(self) -> float:
        """Return how long to pause before the next read.

        Raises:
            WorkerUnavailable: The time is up.
        """
        left_seconds = self._deadline - time.monotonic()
        if left_seconds <= 0:
            raise WorkerUnavailable(
                f"no worker answered within {self._timeout:g} s; the request to cancel job {self._job_id} stays queued "
                "and is carried out when a worker starts. Check that wanimate-worker runs and uses the same Redis"
            )
        pause, self._pause = self._pause, min(self._pause * 1.5, MAX_PAUSE_SECONDS)
        return min(pause, left_seconds)
