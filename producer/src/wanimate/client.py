"""The client for ordinary, blocking code."""

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
    """One job, to be asked about, waited for or cancelled; made by `Client`."""

    __slots__ = ()

    def status(self) -> JobStatus:
        """Return where the job stands now.

        `eta_seconds` is an estimate, good for a progress bar and not for a promise.

        A job that no worker has recorded yet is `queued`.

        Raises:
            JobNotFound: Nothing is known about it: it was never enqueued here, or its record and result have expired.
            QueueUnavailable: Redis could not be reached.
        """
        return read_status(self._client.store, self.id)

    def wait(self, timeout: float | None = None, *, allow_expired: bool = False) -> Result:
        """Return the result once the job has ended.

        Args:
            timeout: How long to wait, in seconds; None waits for ever.
            allow_expired: Whether to return a result whose URLs the vendor no longer serves.

        Raises:
            InvalidArgument: The time-out is not a number of seconds.
            JobFailed: The job ended without a result; the class says how.
            ResultExpired: It succeeded too long ago: the vendor no longer serves the URLs.
            JobNotFound: Nothing is known about it.
            WaitTimeout: The job goes on and can be waited for again.
            QueueUnavailable: Redis could not be reached, or not for half a minute after it had been.
        """
        (outcome,) = self._client.wait_all([self], timeout, allow_expired=allow_expired)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def download_url(self, expires: float = 3600.0, *, index: int = 0) -> str:
        """Return a URL from which anyone can download a video of the job, which has ended.

        A video in the account's store gets a signed URL, made here with the store's usual credentials; it needs
        `wanimate[store]`. Any other has the vendor's URL. Give it to those alone who may see the video.

        Args:
            expires: For how long a signed URL is valid, in seconds, a week at most.
            index: Which of several videos.

        Raises:
            InvalidArgument: There is no such video, or no store signs for so long.
            WaitTimeout: The job has not ended: wait for it first.
            JobFailed: It ended without a result.
            ResultExpired: The video is not kept, and the vendor no longer serves it.
            StoreUnavailable: The library or the credentials are missing, or the store is a folder.
            JobNotFound: Nothing is known about it.
            QueueUnavailable: Redis could not be reached.
        """
        return download_url(self.wait(timeout=0), index, expires)

    def cancel(self, timeout: float = 10.0) -> CancelOutcome:
        """Cancel the job if it has not been sent to the vendor, and return what became of it.

        Args:
            timeout: How long to wait for a worker's answer, in seconds.

        Raises:
            InvalidArgument: The time-out is not a number of seconds.
            JobNotFound: Nothing is known about it.
            WorkerUnavailable: No worker answered; the request stays queued.
            QueueUnavailable: Redis could not be reached.
        """
        cancellation = Cancellation.request(self._client.store, self.id, timeout)
        while (outcome := cancellation.answer(self._client.store)) is None:
            time.sleep(cancellation.pause_seconds())
        return outcome


class Client:
    """Enqueues jobs and reads what became of them.

    One client serves a whole process: it may be shared between threads, connects when first used, and reconnects by
    itself. Make it when the process starts: that loads redis-py, which takes a tenth of a second. A process that is
    forked from this one makes connections of its own.

    Args:
        settings: Where Redis is; without it, the `WANIMATE_*` variables and `.env` are read.

    Raises:
        SettingsError: A setting is missing or wrong.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        #: Internal: the methods below are the interface.
        self.store = Store(settings or Settings.load())

    def animate(self, **fields: Unpack[JobFields]) -> JobHandle:
        """Enqueue one job that brings the character of an image to life with the motion of a video.

        Takes the fields of `AnimateJob`, and fails as it and `submit` do.
        """
        return self.submit(AnimateJob(**fields))

    def replace(self, **fields: Unpack[JobFields]) -> JobHandle:
        """Enqueue one job that replaces the person in a video with the character of an image.

        Takes the fields of `ReplaceJob`, and fails as it and `submit` do.
        """
        return self.submit(ReplaceJob(**fields))

    def submit(self, job: Job) -> JobHandle:
        """Enqueue one job.

        Raises:
            InvalidRequest: This is not a job.
            IdempotencyConflict: The idempotency key was used before for a different request.
            QueueUnavailable: Redis could not be reached.
        """
        entry = messages.enter(job, self.store.settings)
        self.store.enqueue([entry])
        return self.job(entry.job_id)

    def submit_many(self, jobs: Iterable[Job]) -> list[JobHandle]:
        """Enqueue many jobs, some hundreds to a message, and return their handles in order.

        The jobs are read as they are sent, so a generator of any length will do. An error carries the handles of the
        jobs that are certainly in the queue as `.enqueued`; whether the few hundred jobs after them arrived is not
        known. Give jobs an `idempotency_key` to be able to send them all again without paying twice.

        Raises:
            InvalidRequest: An item is not a job; `field` names its index.
            IdempotencyConflict: An idempotency key was used before for a different request.
            QueueUnavailable: Redis could not be reached.
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
        """Pick up a job by its id, in any process; nothing is read yet.

        Raises:
            InvalidArgument: This is no id.
        """
        return JobHandle(self, job_id)

    def wait_all(
        self, handles: Iterable[JobHandle], timeout: float | None = None, *, allow_expired: bool = False
    ) -> list[Result | JobFailed | ResultExpired]:
        """Return how each job ended, in order, once all have; errors are returned, not raised.

        Args:
            handles: The jobs.
            timeout: How long to wait for all of them, in seconds; None waits for ever.
            allow_expired: Whether to return results whose URLs the vendor no longer serves; without it those are
                `ResultExpired`.

        Raises:
            InvalidArgument: The time-out is not a number of seconds, or what was given are no handles.
            JobNotFound: Nothing is known about one of them.
            WaitTimeout: Some had not ended; they go on.
            QueueUnavailable: Redis could not be reached.
        """
        ids = ids_of(handles)
        outcomes = dict(self._outcomes(Wait(ids, timeout, allow_expired=allow_expired)))
        return [outcomes[job_id] for job_id in ids]

    def as_completed(
        self, handles: Iterable[JobHandle], timeout: float | None = None, *, allow_expired: bool = False
    ) -> Iterator[tuple[JobHandle, Result | JobFailed | ResultExpired]]:
        """Yield each job with how it ended, as they end; takes and raises what `wait_all` does."""
        # Not a generator itself: what is wrong with the arguments is raised here, and not where it is iterated.
        wait = Wait(ids_of(handles), timeout, allow_expired=allow_expired)
        return ((self.job(job_id), outcome) for job_id, outcome in self._outcomes(wait))

    def _outcomes(self, wait: Wait) -> Iterator[tuple[str, Result | JobFailed | ResultExpired]]:
        for ended in self.watch(wait):
            for job_id, outcome in ended:
                if isinstance(outcome, JobNotFound):
                    raise outcome
                yield job_id, outcome

    def watch(self, wait: Wait) -> Iterator[list[Ended]]:
        """Yield, after each read, which jobs have ended. Internal: the methods above are the interface."""
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
        """Yield how jobs end, each as an event, in the order in which they end.

        Without `group`, store the `id` of each event with what you make of it, and give the last one as `after` when
        the process starts again: then no event is missed or comes twice.

        With `group`, all consumers of a group share the events. An event is acknowledged when the next one is asked
        for. One that is not acknowledged comes again: first of all to a consumer of the same name, after a minute to
        any other one. So process events within a minute, and expect that some come twice.

        Args:
            after: The id of the last event that was processed; None begins with the oldest that is kept. Of a group
                that exists, it changes nothing.
            timeout: How long to wait for the next event, in seconds, before the iteration ends; None waits for ever,
                0 yields what there is.
            group: A consumer group, which is created if there is none of this name.
            consumer: This consumer's name, which no other running one of the group may have. None makes one up.

        Raises:
            InvalidArgument: `after` is no id of an event, the time-out no number of seconds, or a name is wrong.
            EventsLost: Events after the cursor are no longer kept. A group raises this once, then goes on from the
                oldest event; without one, leave out `after`.
            WanimateError: A newer version has written an event; the message names it.
            QueueUnavailable: Redis could not be reached, or not for half a minute after it had been.
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
        """Close the connections; jobs go on without them. Closing it again does nothing."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self.store.address}, account {self.store.settings.account}>"
