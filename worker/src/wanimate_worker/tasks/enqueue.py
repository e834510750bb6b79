"""`wanimate.enqueue`: a few hundred jobs in one message."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import orjson
from celery.exceptions import Reject
from redis.exceptions import RedisError
from wanimate.contract import ENQUEUE_TASK, GENERATE_TASK, Stage, parse_job
from wanimate.errors import WanimateError

from ..events import announce
from ..ledger import Entry
from ..observability import get_logger
from ..observability.tracing import keep_trace
from .base import AGAIN_SECONDS, InternalTask

if TYPE_CHECKING:
    from collections.abc import Sequence

log = get_logger(__name__)

#: With more jobs in line, Flower hears of new ones when they get their slots: it keeps its newest tasks only, and a
#: backlog would drive those out that run.
_LONGEST_SHOWN_LINE: Final = 2000


class EnqueueTask(InternalTask):
    """Records each job of a batch as its own `wanimate.generate` task."""

    name = ENQUEUE_TASK

    def run(self, jobs: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Record the jobs; those recorded before are left alone, so a message that comes twice is no harm.

        Args:
            jobs: Pairs of job id and keyword arguments of `wanimate.generate`.
        """
        try:
            is_shown = self.runtime.ledger.waiting() < _LONGEST_SHOWN_LINE
            entries = [
                entry
                for job_id, request in jobs
                if (entry := self._entry(job_id, request, is_shown=is_shown)) is not None
            ]
            record = self.runtime.tracing.record
            spans = [record(entry.message, entry.job_id, entry.request) for entry in entries]
            admissions = self.runtime.ledger.admit(entries)
        except RedisError:
            # Some may be recorded, some not: the whole message comes back, and those recorded are left alone.
            time.sleep(AGAIN_SECONDS)
            raise Reject(requeue=True) from None
        for entry, admission, end_span in zip(entries, admissions, spans, strict=True):
            if admission.is_new:
                end_span()
                log.info("job recorded", stage=Stage.WAITING, job_id=entry.job_id, cause="bulk")
        if is_shown:
            # Before they can start. It waits for no answer: what Flower misses here, later events tell it.
            admitted = zip(entries, admissions, strict=True)
            self._announce({entry.job_id: entry.message["kwargsrepr"] for entry, told in admitted if told.is_new})
        self.runtime.resume(job_id for admission in admissions for job_id in admission.granted)

    def _announce(self, waiting: dict[str, str]) -> None:
        if not waiting:
            return
        try:
            announce(self.app, self.request.hostname, self.app.tasks[GENERATE_TASK], waiting)
        except Exception as error:  # noqa: BLE001 - whatever the broker raises, this is only for show
            log.warning("jobs are shown in Flower later", jobs=len(waiting), cause=type(error).__name__)

    def _entry(self, job_id: str, request: dict[str, Any], *, is_shown: bool) -> Entry | None:
        """Return the entry of one job; a job that cannot be recorded fails alone."""
        try:
            job = parse_job(request)
            orjson.dumps(request)
        except (WanimateError, TypeError) as error:
            self._refuse(job_id, error)
            return None
        message = {"argsrepr": "()", "kwargsrepr": job.summary(), **({"seen": True} if is_shown else {})}
        keep_trace(message, self.request.headers)
        return Entry(job_id, job.priority, message, request, job.deadline_ms)

    def _refuse(self, job_id: str, error: Exception) -> None:
        # The producer validates before it sends, so this is a foreign or newer one; its caller still gets an answer.
        log.error("job refused", job_id=job_id, cause=error)
        self.app.backend.mark_as_failure(job_id, error, request=None, store_result=True)
