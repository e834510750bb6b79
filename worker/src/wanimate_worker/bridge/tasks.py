"""The tasks of the queue itself: bulk messages, ticks, housekeeping, cancellations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import Task
from redis.exceptions import RedisError
from wanimate.contract import CANCEL_TASK, ENQUEUE_TASK, HOUSEKEEPING_TASK, POLL_TASK
from wanimate.errors import InvalidRequest, JobNotFound

from ..engine.account import keep_house
from ..engine.cancelling import cancel_job
from ..telemetry import get_logger
from .messages import is_name
from .outage import is_away

if TYPE_CHECKING:
    from ..engine.engine import Engine
    from ..engine.runtime import Runtime

log = get_logger(__name__)


class InternalTask(Task):
    """A task of the queue itself: no result, and no events, which would drown the jobs in Flower.

    Args:
        runtime: The ledger, the vendor and the settings.
    """

    abstract = True
    ignore_result = True
    send_events = False
    #: The engine of this process, once it is a worker.
    engine: Engine | None = None

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime


class EnqueueTask(InternalTask):
    """Many jobs in one message, each its own `wanimate.generate` task; they are recorded as they come."""

    name = ENQUEUE_TASK
    Strategy = "wanimate_worker.bridge.admission:strategy"


class PollTask(InternalTask):
    """The tick that beat sends: the engine of the worker that gets it claims due jobs until the next one."""

    name = POLL_TASK

    def run(self, **_: Any) -> None:
        """Handle the tick in the engine."""
        try:
            if self.engine is not None:
                self.engine.tick()
        except RedisError as error:
            if not is_away(error):
                raise
            log.warning("Redis is unavailable; the next tick does the work of this one", cause=error)


class HousekeepingTask(InternalTask):
    """Repairs what no transition leaves behind, but a database edited by hand may."""

    name = HOUSEKEEPING_TASK

    def run(self) -> None:
        """Repair once."""
        keep_house(self.runtime)


class CancelTask(InternalTask):
    """Cancels one job that was not sent to the vendor yet."""

    name = CANCEL_TASK
    ignore_result = False
    #: An answer, not an accident of ours: no traceback in the log.
    throws = (JobNotFound,)

    def run(self, job_id: str) -> str:
        """Cancel the job and return a `CancelOutcome` value.

        Raises:
            InvalidRequest: This is no id.
        """
        if not is_name(job_id):
            raise InvalidRequest("the id of a job is expected", field="job_id")
        return cancel_job(self.runtime, job_id).value
