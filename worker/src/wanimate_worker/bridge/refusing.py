"""Jobs that no worker can record: their callers are told, for nobody else will."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from ..telemetry import get_logger
from .outage import is_away

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery

    from ..ledger import Ledger

log = get_logger(__name__)


def refuse_unrecorded(app: Celery, ledger: Ledger, job_ids: Iterable[str], error: Exception) -> None:
    """Fail jobs for their callers, except those on record: the ledger decides what becomes of these.

    Args:
        app: The Celery app, which has the result backend.
        ledger: Where jobs are recorded.
        job_ids: The jobs.
        error: Why they cannot be recorded.
    """
    for job_id in job_ids:
        if not _is_recorded(ledger, job_id):
            log.error("job refused", job_id=job_id, cause=error)
            app.backend.mark_as_failure(job_id, error, request=None, store_result=True)


def _is_recorded(ledger: Ledger, job_id: str) -> bool:
    try:
        return ledger.records.read([job_id])[0].stage is not None
    except RedisError as error:
        if is_away(error):
            raise
        # What stands there is no record.
        return False
