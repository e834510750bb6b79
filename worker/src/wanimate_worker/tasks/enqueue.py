"""`wanimate.enqueue`: a few hundred jobs in one message."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from celery.exceptions import Reject
from redis.exceptions import RedisError
from wanimate.contract import ENQUEUE_TASK, parse_job
from wanimate.errors import WanimateError

from ..ledger import Entry
from .base import InternalTask

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)


class EnqueueTask(InternalTask):
    """Records each job of a batch as its own `wanimate.generate` task."""

    name = ENQUEUE_TASK

    def run(self, jobs: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Record the jobs; those recorded before are left alone, so a message that comes twice is no harm.

        Args:
            jobs: Pairs of job id and keyword arguments of `wanimate.generate`.
        """
        entries = []
        for job_id, request in jobs:
            try:
                job = parse_job(request)
            except WanimateError as error:
                self._refuse(job_id, error)
            else:
                message = {"argsrepr": "()", "kwargsrepr": job.summary()}
                entries.append(Entry(job_id, job.priority, message, request))
        try:
            admissions = self.runtime.ledger.admit(entries)
        except RedisError:
            # Some may be recorded, some not: the whole message comes back, and those recorded are left alone.
            raise Reject(requeue=True) from None
        self.runtime.resume(job_id for admission in admissions for job_id in admission.granted)

    def _refuse(self, job_id: str, error: WanimateError) -> None:
        # The producer validates before it sends, so this is a foreign or newer one; its caller still gets an answer.
        log.error("job %s: refused: %s", job_id, error)
        self.app.backend.mark_as_failure(job_id, error, request=None, store_result=True)
