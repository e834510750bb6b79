"""What the tasks of one worker process share: the ledger, the vendor, and the way to resume jobs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Final

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from wanimate.contract import GENERATE_TASK, RESUME_QUEUE, Stage
from wanimate.errors import SettingsError

from .callbacks.signature import Signer
from .database import open_database
from .observability import Tracing, get_logger, open_tracing
from .pacer import Pacer
from .poll_share import PollShare
from .suspension import Continuation
from .upstream import UpstreamClient

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery

    from .ledger import Deliver, JobFields, Ledger
    from .settings import WorkerSettings

log = get_logger(__name__)

#: Poll runs of one process at once: one asks while the other claims.
POLL_TURNS: Final = 2
#: Jobs read and published in one go.
_RESUME_BATCH: Final = 200


class Runtime:
    """The parts that tasks work with, made when first used, so that each forked process has its own.

    Args:
        app: The Celery app.
        settings: The worker's settings.
    """

    def __init__(self, app: Celery, settings: WorkerSettings) -> None:
        self.app = app
        self.settings = settings
        #: Threads of this process that run tasks; a worker sets what it was started with.
        self.threads = settings.worker_threads
        #: The worker's name, if this process is one.
        self.worker_name = ""

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger of this account; its limits are filled from the settings if none are known.

        Raises:
            SettingsError: The Redis database belongs to another account, or its tasks are at another vendor.
        """
        ledger = open_database(self.settings, worker=self.worker_name).ledger
        ledger.claim_database()
        ledger.fill_limits(self.settings.account_limits())
        ledger.check_vendor(self.settings.api_base_url)
        return ledger

    @cached_property
    def upstream(self) -> UpstreamClient:
        """The vendor.

        Raises:
            SettingsError: No API key is set, or no HTTP client can be made with these settings and this environment.
        """
        settings = self.settings
        if settings.api_key is None:
            raise SettingsError("WANIMATE_API_KEY: a worker needs the vendor's API key; set it and start again")
        client = UpstreamClient(
            settings.api_base_url,
            settings.api_key,
            timeouts=settings.timeouts(),
            trust_env=settings.trust_env,
            allow_http=settings.allow_http,
        )
        client.prepare()
        return client

    def callback_url(self, job_id: str, nonce: str) -> str | None:
        """Return where the vendor reports the end of an attempt; None where it is only polled."""
        settings = self.settings
        if settings.callback_base_url is None or settings.callback_secret is None:
            return None
        return Signer(settings.callback_secret).url(settings.callback_base_url, settings.account, job_id, nonce)

    @cached_property
    def tracing(self) -> Tracing:
        """What makes the spans of jobs, if anything does."""
        return open_tracing()

    @cached_property
    def pollers(self) -> ThreadPoolExecutor:
        """The threads that ask for states: enough for every poll run that may have its turn."""
        return ThreadPoolExecutor(POLL_TURNS * self.settings.poll_concurrency, thread_name_prefix="poller")

    @cached_property
    def poll_turns(self) -> BoundedSemaphore:
        """How many poll runs this process works on at once.

        More of them would claim jobs faster than they are asked about, and their leases would end before their turn.
        """
        return BoundedSemaphore(POLL_TURNS)

    @cached_property
    def poll_share(self) -> PollShare:
        """How many threads may be busy with polls, so that new jobs are never kept waiting by them."""
        return PollShare(self.threads)

    @cached_property
    def pacer(self) -> Pacer:
        """When to ask about tasks."""
        return Pacer(self.ledger, self.settings)

    def resume(self, job_ids: Iterable[str]) -> None:
        """Publish the messages of jobs that have a slot or an outcome, so that any worker goes on with them.

        It does not fail: a message that is lost, or cannot be sent because Redis is away, is no harm, for the job's due
        time passes and it is resumed again.

        Args:
            job_ids: The jobs.
        """
        pending = list(job_ids)
        try:
            while pending:
                batch, pending = pending[:_RESUME_BATCH], pending[_RESUME_BATCH:]
                pending += self._resume_batch(batch)
        except (RedisError, OperationalError) as error:
            log.warning("jobs are resumed when their leases end, Redis is away", jobs=len(pending) + 1, cause=error)

    @property
    def is_worker(self) -> bool:
        """Whether this process runs tasks, so that it can deliver outcomes itself."""
        return self.app.tasks[GENERATE_TASK].consumer is not None

    def deliver(self, job: JobFields, step: Deliver) -> None:
        """Let the job's last run tell its outcome, at once and in this thread; in a process that is no worker, soon.

        It does not fail: what could not be delivered is delivered when its lease ends.

        Args:
            job: A job that this process has settled, with `delivers` as `is_worker` says.
            step: How it ended.
        """
        try:
            if not _continuation(job).end_here(self.app, step):
                self.resume([job.job_id])
        except Exception:
            log.exception("unexpected error, the outcome is delivered when its lease ends", job_id=job.job_id)

    def _resume_batch(self, job_ids: list[str]) -> list[str]:
        """Publish the messages of these jobs, and return jobs that got the slots of those without a record."""
        granted: list[str] = []
        jobs = self.ledger.read(job_ids)
        with self.app.producer_pool.acquire(block=True) as producer:
            for job in jobs:
                try:
                    if job.stage is None:
                        granted += self._forget(job.job_id)
                    else:
                        self._publish(producer, job)
                except (RedisError, OperationalError):
                    raise
                except Exception:
                    # One message that cannot be made must not keep the others from going on.
                    log.exception("unexpected error, the job could not be resumed", job_id=job.job_id)
        return granted

    def _publish(self, producer: object, job: JobFields) -> None:
        # Outcomes first: somebody waits for them, and their slots are handed on already.
        priority = 0 if job.stage is Stage.SETTLED else 3
        _continuation(job).publish(self.app, producer, queue=RESUME_QUEUE, priority=priority)

    def _forget(self, job_id: str) -> list[str]:
        granted = self.ledger.forget(job_id)
        if granted is None:
            return []
        log.error("the job has lost its record (evicted or deleted by hand); its slot is free again", job_id=job_id)
        return granted


def _continuation(job: JobFields) -> Continuation:
    celery_id = job.celery_id or job.job_id
    return Continuation(
        GENERATE_TASK,
        celery_id,
        job.request,
        job.message,
        quiet=job.attempts > 0,
        started_at_seconds=job.submitted_at_ms / 1000 if job.submitted_at_ms else None,
        record_id=None if celery_id == job.job_id else job.job_id,
    )
