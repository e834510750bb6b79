"""Flower's pages that this queue answers otherwise."""

from __future__ import annotations

from typing import Any, Final

from flower.api.control import TaskRevoke
from flower.app import Flower, rewrite_handler
from flower.views.monitor import Metrics
from tornado.web import HTTPError, authenticated
from wanimate.contract import CancelOutcome

#: How long workers may take to answer a revoke, in seconds.
_ANSWER_SECONDS: Final = 1.0


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
        """Cancel a job, or revoke another task.

        Answers 409 with the reason if the vendor has the job already or it has ended, and 503 if no worker answered.
        """
        if self.application.options.read_only:
            raise HTTPError(403, "Read only mode is enabled")
        answers: list[dict[str, dict[str, Any]]] | None = await self.run_blocking(
            "task.revoke",
            taskid,
            self.capp.control.revoke,
            taskid,
            terminate=self.get_argument("terminate", default=False, type=bool),
            signal=self.get_argument("signal", default="SIGTERM", type=str),
            reply=True,
            timeout=_ANSWER_SECONDS,
        )
        replies = [reply for answer in answers or [] for reply in answer.values()]
        if not replies:
            raise HTTPError(503, "No worker answered, so nothing was cancelled. Is one running? Try again.")
        outcomes = {reply.get("outcomes", {}).get(taskid) for reply in replies}
        # Each worker was asked; one of them was the first, and to the others the job had ended.
        for outcome in CancelOutcome:
            if outcome.value in outcomes:
                told = f"Job {taskid}: {outcome.explanation}."
                if outcome is not CancelOutcome.CANCELLED:
                    raise HTTPError(409, told.replace("%", "%%"))
                self.write({"message": told})
                return
        # The message of a job that no worker has recorded yet, or a task of somebody else.
        self.write({"message": f"Revoked '{taskid}': its message is discarded when a worker takes it."})


def add_handlers(flower: Flower) -> None:
    """Put these handlers before Flower's own.

    Args:
        flower: The application, before it listens.
    """
    handlers: list[Any] = [(r"/metrics", GuardedMetrics), (r"/api/task/revoke/(.+)", CancelJob)]
    prefix = flower.options.url_prefix
    flower.add_handlers(r".*", [rewrite_handler(handler, prefix) for handler in handlers] if prefix else handlers)
