"""The present state of jobs, from the ledger. Flower itself knows only their events."""

from __future__ import annotations

import copy
import time
from ast import literal_eval
from typing import TYPE_CHECKING, Any, Final

from celery import states
from redis.exceptions import RedisError
from wanimate.contract import GENERATE_TASK, JobState, JobStatus

from ...telemetry import get_logger
from ..callers import WAITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ...ledger import JobRecord, Ledger

log = get_logger(__name__)

#: The state of jobs whose submission's answer was lost. Celery has no word for it.
UNKNOWN: Final = "UNKNOWN"
#: For how long pages show the last events after Redis did not answer, in seconds: each row would wait.
_LEAVE_ALONE_SECONDS: Final = 10.0
#: Jobs read in one round trip.
_READ_SIZE: Final = 500


class LiveView:
    """Shows tasks with the present state of their jobs. The page waits for each answer of the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger: Final = ledger
        self._reads_again_at = 0.0

    def show(self, tasks: Iterable[Any]) -> Iterator[Any]:
        """Yield copies of tasks, those of jobs as a page shows them."""
        shown = [copy.copy(task) for task in tasks]
        # A success is final. An operator may retry a failed job, under the same id.
        open_ids = [task.uuid for task in shown if task.name == GENERATE_TASK and task.state != states.SUCCESS]
        records = {record.job_id: record for record in self._read(open_ids)}
        for task in shown:
            if task.name == GENERATE_TASK and (fields := Fields.read(task.kwargs)):
                task.kwargs = str(fields)
            if (record := records.get(task.uuid)) and record.fields:
                _apply(task, record)
            yield task

    def _read(self, job_ids: list[str]) -> Iterator[JobRecord]:
        if time.monotonic() < self._reads_again_at:
            return
        try:
            for start in range(0, len(job_ids), _READ_SIZE):
                yield from self._ledger.records.whole(job_ids[start : start + _READ_SIZE])
        except RedisError as error:
            log.warning("Redis does not answer; pages show the last events of jobs", cause=type(error).__name__)
            self._reads_again_at = time.monotonic() + _LEAVE_ALONE_SECONDS


def row_formatter(view: LiveView) -> Callable[[Any], Any]:
    """Return Flower's `format_task`, which has to be a function. Flower calls it for the rows of a page only."""

    def format_task(task: Any) -> Any:
        [shown] = view.show([task])
        return shown

    return format_task


class Fields(dict[str, Any]):
    """The fields and labels of a job. As text they are `animate 480p order=7`."""

    def __init__(self, fields: dict[str, Any], labels: dict[str, str]) -> None:
        super().__init__({**labels, **fields})
        self._text: Final = " ".join(
            [*map(str, fields.values()), *(f"{name}={value}" for name, value in labels.items())]
        )

    @classmethod
    def read(cls, kwargs: str | None) -> Fields | None:
        """Read `{'type': 'animate', 'resolution': '480p', 'labels': {'order': '7'}}`; None if it is anything else."""
        try:
            fields = literal_eval(kwargs or "")
            return cls(fields, fields.pop("labels", {}))
        except (ValueError, SyntaxError, AttributeError, TypeError):
            return None

    def __repr__(self) -> str:
        return self._text


def _apply(task: Any, record: JobRecord) -> None:
    status = JobStatus.from_hash(record.job_id, record.fields, record.rank, has_slot=record.slot_since_ms is not None)
    state, text = _present(status, is_parked=record.parked_until_ms is not None)
    if state == task.state and task.ready:
        # Its event said more.
        return
    task.state, task.result = state, text
    if not status.state.is_final:
        task.started = status.submitted_at.timestamp() if status.submitted_at else None
        # So far, by this host's clock.
        task.runtime = max(0.0, time.time() - task.started) if task.started else None
        task.exception = task.traceback = None


def _present(status: JobStatus, *, is_parked: bool) -> tuple[str, str]:
    """Return a job's state as Flower shows it, and what happens with the job."""
    position = f", position {status.position}" if status.position else ""
    return {
        JobState.WAITING: (states.RECEIVED, "waiting for its next attempt" if is_parked else f"{WAITS}{position}"),
        JobState.SUBMITTING: (states.RECEIVED, "has a slot; its submission is being sent"),
        JobState.UNKNOWN: (UNKNOWN, "the answer to its submission was lost; the vendor may have accepted it"),
        JobState.RUNNING: (states.STARTED, f"runs at the vendor as {status.task_id}"),
        JobState.KEEPING: (states.STARTED, "rendered; its video is being copied"),
        JobState.SUCCEEDED: (states.SUCCESS, "succeeded; Flower missed the event with its result"),
        JobState.CANCELLED: (states.REVOKED, status.error or ""),
    }.get(status.state, (states.FAILURE, status.error or ""))
