"""The client for blocking code."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import messages
from .contract import AnimateJob, ReplaceJob
from .errors import JobNotFound, QueueUnavailable, WanimateError
from .events import Feed
from .handle import Handle, ids_of
from .redis.store import Store
from .settings import Settings
from .signing import download_url
from .status import read_status
from .waiting import Cancellation, Wait, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self, Unpack
    from uuid import UUID

    from .contract import CancelOutcome, Event, Job, JobFields, JobStatus, Result
    from .errors import JobFailed, ResultExpired
    from .waiting import Ended


class JobHandle(Handle["Client"]):
    """A job: read its status, wait for its result, download or cancel it. `Client` makes handles."""

    __slots__ = ()

    def status(self) -> JobStatus:
        """Return the current status of the job.

        A job is `queued` until a worker has recorded it. `eta_seconds` is an estimate.

        Raises:
            JobNotFound: The job was never enqueued here, or its record and result have expired.
            QueueUnavailable: Redis cannot be reached.
        """
        return read_status(self._client.store, self.id)

    def wait(self, timeout: float | None = None, *, allow_expired: bool = False) -> Result:
        """Wait until the job has ended and return its result.

        Args:
            timeout: Timeout in seconds; None waits indefinitely.
            allow_expired: Whether to return a result with expired URLs instead of raising `ResultExpired`.

        Raises:
            InvalidArgument: The timeout is not a number of seconds.
            JobFailed: The job ended without a result; the subclass gives the reason.
            ResultExpired: The job succeeded, but the URLs of its result have expired.
            JobNotFound: There is no such job.
            WaitTimeout: The job did not end in time; it continues.
            QueueUnavailable: Redis cannot be reached, or for half a minute after the wait had reached it.
        """
        (outcome,) = self._client.wait_all([self], timeout, allow_expired=allow_expired)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def download_url(self, expires: float = 3600.0, *, index: int = 0) -> str:
        """Return a download URL for a video of the job.

        For a video in the account's store this is a signed URL, which needs `wanimate[store]` and the store's usual
        credentials; otherwise it is the vendor's URL. Anyone with the URL can download the video.

        Args:
            expires: Validity of a signed URL, in seconds; at most a week.
            index: The index of the video.

        Raises:
            InvalidArgument: There is no such video, or `expires` is out of range.
            WaitTimeout: The job has not ended.
            JobFailed: The job ended without a result.
            ResultExpired: The vendor's URL has expired.
            StoreUnavailable: The library or the credentials are missing, or the store is a folder.
            JobNotFound: There is no such job.
            QueueUnavailable: Redis cannot be reached.
        """
        return download_url(self.wait(timeout=0), index, expires)

    def cancel(self, timeout: float = 10.0) -> CancelOutcome:
        """Cancel the job unless it was submitted to the vendor, and return the outcome.

        Args:
            timeout: How long to wait for a worker's response, in seconds.

        Raises:
            InvalidArgument: The timeout is not a number of seconds.
            JobNotFound: There is no such job.
            WorkerUnavailable: No worker responded in time; the request stays queued.
            QueueUnavailable: Redis cannot be reached.
        """
        cancellation = Cancellation.request(self._client.store, self.id, timeout)
        while (outcome := cancellation.answer(self._client.store)) is None:
            time.sleep(cancellation.pause_seconds())
        return outcome


class Client:
    """Enqueue jobs and read their results.

    Use one client per process. Threads can share it, it connects on first use and reconnects automatically, and a
    forked process gets its own connections. Create it at process start: this imports redis-py, which takes 0.1 s.

    Args:
        settings: The settings; default: the `WANIMATE_*` variables and `.env`.

    Raises:
        SettingsError: A setting is missing or invalid.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        #: Internal.
        self.store = Store(settings or Settings.load())

    def animate(self, **fields: Unpack[JobFields]) -> JobHandle:
        """Enqueue a job that animates the character of an image with the motion of a video.

        Takes the fields of `AnimateJob`. Raises the errors of `AnimateJob` and `submit`.
        """
        return self.submit(AnimateJob(**fields))

    def replace(self, **fields: Unpack[JobFields]) -> JobHandle:
        """Enqueue a job that replaces the person in a video with the character of an image.

        Takes the fields of `ReplaceJob`. Raises the errors of `ReplaceJob` and `submit`.
        """
        return self.submit(ReplaceJob(**fields))

    def submit(self, job: Job) -> JobHandle:
        """Enqueue one job.

        Raises:
            InvalidRequest: The argument is not a job.
            IdempotencyConflict: The idempotency key belongs to a different request.
            QueueUnavailable: Redis cannot be reached.
        """
        entry = messages.enter(job, self.store.settings)
        self.store.enqueue([entry])
        return self.job(entry.job_id)

    def submit_many(self, jobs: Iterable[Job]) -> list[JobHandle]:
        """Enqueue many jobs, up to 200 per message, and return their handles in order.

        `jobs` can be a generator of any length. After an error, its `enqueued` has the handles of the jobs that are
        certainly enqueued; up to 200 more may be. With idempotency keys you can send all jobs again without paying
        twice.

        Raises:
            InvalidRequest: An item is not a job; `field` names its index.
            IdempotencyConflict: An idempotency key belongs to a different request.
            QueueUnavailable: Redis cannot be reached.
        """
        enqueued: list[JobHandle] = []
        try:
            for entries in messages.pack(jobs, self.store.settings):
                self.store.enqueue(entries)
                enqueued.extend(self.job(entry.job_id) for entry in entries)
        except WanimateError as error:
            error.enqueued = enqueued
            raise
        return enqueued

    def job(self, job_id: str | UUID) -> JobHandle:
        """Return the handle of a job by its id, in any process, without reading from Redis.

        Raises:
            InvalidArgument: The id is not a string or a UUID.
        """
        return JobHandle(self, job_id)

    def wait_all(
        self, handles: Iterable[JobHandle], timeout: float | None = None, *, allow_expired: bool = False
    ) -> list[Result | JobFailed | ResultExpired]:
        """Wait until all jobs have ended and return their outcomes in order: results and errors, which are not raised.

        Args:
            handles: The jobs.
            timeout: Timeout for all of them, in seconds; None waits indefinitely.
            allow_expired: Whether to return results with expired URLs instead of `ResultExpired`.

        Raises:
            InvalidArgument: The timeout is not a number of seconds, or an item is not a handle.
            JobNotFound: One of the jobs does not exist.
            WaitTimeout: Some jobs did not end in time; they continue.
            QueueUnavailable: Redis cannot be reached.
        """
        ids = ids_of(handles)
        outcomes = dict(self._outcomes(Wait(ids, timeout, allow_expired=allow_expired)))
        return [outcomes[job_id] for job_id in ids]

    def as_completed(
        self, handles: Iterable[JobHandle], timeout: float | None = None, *, allow_expired: bool = False
    ) -> Iterator[tuple[JobHandle, Result | JobFailed | ResultExpired]]:
        """Yield each job and its outcome when it ends; takes the arguments and raises the errors of `wait_all`."""
        # Not a generator, so that invalid arguments raise here and not at the first iteration.
        wait = Wait(ids_of(handles), timeout, allow_expired=allow_expired)
        return ((self.job(job_id), outcome) for job_id, outcome in self._outcomes(wait))

    def _outcomes(self, wait: Wait) -> Iterator[tuple[str, Result | JobFailed | ResultExpired]]:
        for ended in self.watch(wait):
            for job_id, outcome in ended:
                if isinstance(outcome, JobNotFound):
                    raise outcome
                yield job_id, outcome

    def watch(self, wait: Wait) -> Iterator[list[Ended]]:
        """Yield the jobs that have ended after each read. Internal."""
        while wait.pending:
            try:
                found = read(self.store, wait.pending, wait.to_check)
            except QueueUnavailable as error:
                wait.fail(error)
            else:
                yield wait.take(found)
            if wait.pending:
                time.sleep(wait.pause_seconds())

    def events(
        self,
        after: str | None = None,
        *,
        timeout: float | None = None,
        group: str | None = None,
        consumer: str | None = None,
    ) -> Iterator[Event]:
        """Yield an event for each job that ends, in order.

        Without `group`: store the `id` of each event together with your own data, and pass the last one as `after` when
        the process restarts. Then each event arrives exactly once.

        With `group`: the consumers of a group share the events. Requesting the next event acknowledges the current one.
        An unacknowledged event is delivered again: at once to a consumer with the same name, after a minute to another.
        Process each event within a minute, and expect duplicates.

        Args:
            after: The id of the last processed event; None starts with the oldest. Ignored for an existing group.
            timeout: How long to wait for the next event before the iteration ends, in seconds. None waits indefinitely,
                0 yields the events that exist.
            group: The consumer group, created if it does not exist.
            consumer: A name that is unique in the group; None generates one.

        Raises:
            InvalidArgument: An argument is invalid.
            EventsLost: Events after the cursor were deleted. A group continues with the oldest event when you iterate
                again; otherwise omit `after`.
            WanimateError: A newer version has written the event; the message names it.
            QueueUnavailable: Redis cannot be reached, or for half a minute after the iteration had reached it.
        """
        # Not a generator itself: what is wrong with the arguments is raised here, and not where it is iterated.
        return self._events(Feed(self.store, after, timeout, group=group, consumer=consumer))

    def _events(self, feed: Feed) -> Iterator[Event]:
        while True:
            try:
                if feed.is_due:
                    feed.read()
                event = feed.pop()
                if event is None and not feed.block():
                    return
            except QueueUnavailable as error:
                feed.fail(error)
                time.sleep(feed.pause_seconds() or 0)
                continue
            if event is not None:
                yield event

    def close(self) -> None:
        """Close the connections; the jobs continue."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self.store.address}, account {self.store.settings.account}>"
