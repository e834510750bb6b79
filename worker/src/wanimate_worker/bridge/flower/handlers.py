"""Flower's pages that this queue answers otherwise."""

from __future__ import annotations

from typing import Any, Final

from flower.api.control import TaskRevoke, WorkerQueueAddConsumer
from flower.api.tasks import TaskApply, TaskAsyncApply, TaskSend
from flower.app import Flower, rewrite_handler
from flower.views.monitor import Metrics
from tornado.web import HTTPError, authenticated
from wanimate.contract import CONTROL_QUEUE, ENTRY_QUEUE, GENERATE_TASK, CancelOutcome

#: How long workers may take to answer a revoke, in seconds.
_ANSWER_SECONDS: Final = 1.0
_NO_ANSWER: Final = "No worker answered, so nothing was cancelled. Is one running? Try again."
_QUEUES: Final = frozenset({CONTROL_QUEUE, ENTRY_QUEUE})


class GuardedMetrics(Metrics):
    """Prometheus metrics for those only who may see the rest."""

    @authenticated
    async def get(self) -> None:
        """Answer with the metrics."""
        await super().get()


class CancelJob(TaskRevoke):
    """The buttons Revoke and Terminate: they tell what really became of the job."""

    @authenticated
    async def post(self, taskid: str) -> None:
        """Cancel a job.

        Answers 403 for the task of another app, 409 with the reason if the vendor has the job already or it has ended,
        and 503 if no worker answered.
        """
        if self.application.options.read_only:
            raise HTTPError(403, "Read only mode is enabled")
        task = self.application.events.state.tasks.get(taskid)
        if task is not None and task.name not in {None, GENERATE_TASK}:
            raise HTTPError(403, "This task belongs to another app: revoke it there. Flower cancels jobs only.")
        # A revoke to all, as to an empty list, would reach the workers of other apps too.
        await self.application.update_workers()
        workers = list(self.application.workers)
        if not workers:
            raise HTTPError(503, _NO_ANSWER)
        answers: list[dict[str, dict[str, Any]]] | None = await self.run_blocking(
            "task.revoke",
            taskid,
            self.capp.control.revoke,
            taskid,
            destination=workers,
            terminate=self.get_argument("terminate", default=False, type=bool),
            signal=self.get_argument("signal", default="SIGTERM", type=str),
            reply=True,
            timeout=_ANSWER_SECONDS,
        )
        replies = [reply for answer in answers or [] for reply in answer.values()]
        if not replies:
            raise HTTPError(503, _NO_ANSWER)
        outcomes = {reply.get("outcomes", {}).get(taskid) for reply in replies}
        # Each worker was asked; one of them was the first, and to the others the job had ended.
        for outcome in CancelOutcome:
            if outcome.value in outcomes:
                told = f"Job {taskid}: {outcome.explanation}."
                if outcome is not CancelOutcome.CANCELLED:
                    raise HTTPError(409, told.replace("%", "%%"))
                self.write({"message": told})
                return
        # The message of a job that no worker has recorded yet, or an unknown id.
        self.write({"message": f"Revoked '{taskid}': its message is discarded when a worker takes it."})


class _JobsOnly:
    """The part of Flower's API that sends tasks: it sends jobs, and no task of another app."""

    def get_task_args(self: Any) -> tuple[Any, Any, dict[str, Any]]:
        """Return what the body says; refuse other tasks than jobs, and options that could carry one along."""
        [name] = self.path_args
        if name != GENERATE_TASK:
            raise HTTPError(403, f"Flower sends {GENERATE_TASK} only: send tasks of other apps from those apps.")
        args, kwargs, options = super().get_task_args()  # type: ignore[misc]
        if args or options:
            raise HTTPError(400, 'Send {"kwargs": {…}} with the fields of the job, and nothing else.')
        return args, kwargs, options


class SendJob(_JobsOnly, TaskSend):
    """`/api/task/send-task`."""


class ApplyJob(_JobsOnly, TaskAsyncApply):
    """`/api/task/async-apply`."""


class ReadOwnQueue(WorkerQueueAddConsumer):
    """The button Add consumer: a worker reads no queue of another app, whose messages it would keep as dead letters."""

    @authenticated
    async def post(self, workername: str) -> None:
        """Let a worker read a queue of ours again."""
        if self.get_argument("queue", default="") not in _QUEUES:
            raise HTTPError(403, f"Workers read these queues only: {', '.join(sorted(_QUEUES))}")
        await super().post(workername)


class Refused(TaskApply):
    """What Flower would do to a job that harms it: wait for it in one of its threads, or overwrite its result."""

    @authenticated
    async def post(self, _: str) -> None:
        """Refuse."""
        raise HTTPError(403, "Not here: send jobs by /api/task/async-apply, cancel them by /api/task/revoke.")


def add_handlers(flower: Flower) -> None:
    """Put these handlers before Flower's own.

    Args:
        flower: The application, before it listens.
    """
    handlers: list[Any] = [
        (r"/metrics", GuardedMetrics),
        (r"/api/task/revoke/(.+)", CancelJob),
        (r"/api/task/send-task/(.+)", SendJob),
        (r"/api/task/async-apply/(.+)", ApplyJob),
        (r"/api/task/(?:apply|abort)/(.+)", Refused),
        (r"/api/worker/queue/add-consumer/(.+)", ReadOwnQueue),
    ]
    prefix = flower.options.url_prefix
    flower.add_handlers(r".*", [rewrite_handler(handler, prefix) for handler in handlers] if prefix else handlers)
