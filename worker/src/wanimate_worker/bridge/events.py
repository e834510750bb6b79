"""What Celery's events say of a job, which is what Flower shows: one task, and nothing that is secret."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from wanimate.contract import GENERATE_TASK
from wanimate.errors import JobCancelled

from ..telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wanimate.contract import Outcome

    from ..ledger import JobFields

log = get_logger(__name__)

#: What Flower shows as the result of a job that has not started.
WAITS: Final = "waits for a slot"
#: The query and the fragment of a URL, where signatures are.
_QUERY: Final = re.compile(r"(\bhttps?://[^\s\"'<>?#]*)[?#][^\s\"'<>)\]}]*")


def unsigned(text: str) -> str:
    """Return a text whose URLs have lost their query and fragment: a signed URL is as good as a password.

    Args:
        text: What an event would carry.
    """
    return _QUERY.sub(r"\1?…", text)


class JobEvents:
    """Sends the events of jobs through the worker's own dispatcher; without one nothing is sent.

    Every event names the task and its arguments, for Flower may have missed those before, or has dropped them.

    Args:
        dispatcher: Returns the worker's event dispatcher, which is another one after each reconnect.
    """

    def __init__(self, dispatcher: Callable[[], Any]) -> None:
        self._dispatcher = dispatcher

    def received(self, task_id: str, message: Mapping[str, Any]) -> None:
        """Announce a job that waits.

        Args:
            task_id: Its Celery task.
            message: What is kept of its message.
        """
        root_id = message.get("root_id") or task_id
        self._send(
            "received", task_id, message, retries=0, result=WAITS, root_id=root_id, parent_id=message.get("parent_id")
        )

    def started(self, job: JobFields, shown: str) -> None:
        """Announce that the vendor has a job's task, or may have it.

        Args:
            job: The job.
            shown: What Flower shows as its result.
        """
        task_id = job.result_id
        if not job.message.get("seen") and job.attempts == 0:
            self.received(task_id, job.message)
        self._send("started", task_id, job.message, result=shown, runtime=None)

    def refused(self, job: JobFields, error: BaseException) -> None:
        """Announce that a job could not be recorded."""
        self._end(job, error, runtime=None)

    def ended(self, job: JobFields, outcome: Outcome) -> None:
        """Announce how a job has ended; the runtime is that of the vendor's task."""
        runtime = time.time() - job.submitted_at_ms / 1000 if job.submitted_at_ms else None
        task_id = job.result_id
        if (result := outcome.result) is not None:
            expiry = result.urls_expire_at
            until = "" if expiry is None else f", served until {expiry.isoformat(sep=' ', timespec='minutes')}"
            shown = f"{' '.join(result.urls)} (upstream task {result.task_id}{until})"
            self._send("succeeded", task_id, job.message, result=shown, runtime=runtime)
            return
        self._end(job, outcome.exception(), runtime)

    def _end(self, job: JobFields, error: BaseException, runtime: float | None) -> None:
        task_id, shown = job.result_id, f"{type(error).__name__}: {error}"
        if isinstance(error, JobCancelled):
            # Flower calls a cancelled task revoked.
            revoked = {"terminated": False, "signum": None, "expired": False}
            self._send("revoked", task_id, job.message, result=shown, runtime=runtime, **revoked)
        else:
            self._send(
                "failed", task_id, job.message, exception=repr(error), traceback=None, result=shown, runtime=runtime
            )

    def _send(self, kind: str, task_id: str, message: Mapping[str, Any], **fields: Any) -> None:
        dispatcher = self._dispatcher()
        if dispatcher is None or not dispatcher.enabled:
            return
        shown = {name: unsigned(value) if isinstance(value, str) else value for name, value in fields.items()}
        arguments = {"args": message.get("argsrepr"), "kwargs": message.get("kwargsrepr")}
        try:
            dispatcher.send(f"task-{kind}", uuid=task_id, name=GENERATE_TASK, **arguments, **shown)
        except (RedisError, OperationalError, OSError) as error:
            # It is only for show, and later events tell the same.
            log.warning("an event of a job could not be sent", job_id=task_id, cause=type(error).__name__)
