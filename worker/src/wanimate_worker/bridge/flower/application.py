"""Flower's application: access from allowed hosts only, control of our own workers and jobs only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flower.api.control import TaskRevoke
from flower.api.tasks import TaskApply, TaskAsyncApply, TaskSend
from flower.app import Flower, rewrite_handler
from flower.views.broker import BrokerView
from flower.views.monitor import Metrics
from flower.views.tasks import TasksView
from redis.exceptions import RedisError
from tornado.web import ErrorHandler, HTTPError, OutputTransform, authenticated
from wanimate.contract import GENERATE_TASK, CancelOutcome

from ...addresses import is_loopback
from ...roster import is_ours
from ...telemetry import get_logger
from .search import JobSearch

if TYPE_CHECKING:
    from ...ledger import Ledger
    from .live import LiveView

log = get_logger(__name__)

#: Extends Flower's page of tasks.
_JOBS_PAGE: Final = str(Path(__file__).parent / "templates" / "jobs.html")
#: How long workers may take to answer a revoke, in seconds.
_ANSWER_SECONDS: Final = 1.0
_NO_ANSWER: Final = "No worker answered, so nothing was cancelled. Check that a worker runs, then try again."


class GuardedFlower(Flower):
    """Flower's application with our handlers, headers and checks.

    Args:
        ledger: For what events do not tell.
        view: What rows show of jobs; None if Flower's user has another `format_task`.
        given: Flower's own arguments.
    """

    def __init__(self, *, ledger: Ledger, view: LiveView | None, **given: Any) -> None:
        super().__init__(**given)
        self.ledger: Final = ledger
        if view is not None:
            state = self.events.state
            state.search_engine = JobSearch(view)
            state.search_engine.rebuild(state.tasks.items())
        self.add_transform(_Unframed)
        # Before Flower's own.
        prefix = self.options.url_prefix
        self.add_handlers(r".*", [rewrite_handler(each, prefix) for each in _HANDLERS] if prefix else _HANDLERS)

    @property
    def workers(self) -> dict[str, Any]:
        """Workers of this app only; all apps of a Redis database share the remote control."""
        return {name: facts for name, facts in super().workers.items() if is_ours(facts.get("registered", ()))}

    def find_handler(self, request: Any, **options: Any) -> Any:
        """Return the handler; without a password, refuse requests whose host is not this machine.

        A website can make a local browser send requests here under the website's name (DNS rebinding).
        """
        is_open = not (is_closed(self.options) or self.options.unix_socket)
        if is_open and not is_loopback(request.host_name):
            return self.get_handler_delegate(request, ErrorHandler, {"status_code": 403})
        return super().find_handler(request, **options)


def is_closed(options: Any) -> bool:
    """Whether these options of Flower require a login."""
    return bool(options.basic_auth or options.auth)


class _Unframed(OutputTransform):
    """Adds headers that forbid frames to every answer."""

    def transform_first_chunk(self, status_code: int, headers: Any, chunk: bytes, finishing: bool) -> Any:  # noqa: FBT001
        headers["Content-Security-Policy"] = "frame-ancestors 'none'"
        headers["X-Frame-Options"] = "DENY"
        return super().transform_first_chunk(status_code, headers, chunk, finishing)


class _GuardedMetrics(Metrics):
    """Prometheus metrics, which require the login too."""

    @authenticated
    async def get(self) -> None:
        await super().get()


class _Jobs(TasksView):
    """The list of tasks: it fits narrow windows, and has filters for the states of jobs."""

    def render(self, template_name: str, **given: Any) -> None:
        """Render our page in place of Flower's, or any other, such as that of an error."""
        super().render(_JOBS_PAGE if template_name == "tasks.html" else template_name, **given)


class _Queues(BrokerView):
    """The queues, and the jobs in the ledger: those have no message."""

    def render(self, template_name: str, **given: Any) -> None:
        """Render the page with lines for the ledger."""
        if template_name == "broker.html":
            # A list in Redis has only messages that are ready; in narrow windows the page shows no other column.
            queues = [{"messages_ready": queue.get("messages"), **queue} for queue in given["queues"]]
            given["queues"] = [*self._jobs(), *queues]
        super().render(template_name, **given)

    def _jobs(self) -> list[dict[str, Any]]:
        records = self.application.ledger.records
        try:
            waiting, in_slots = records.waiting(), records.in_flight()
        except RedisError as error:
            log.warning("Redis does not answer; the page Broker shows no jobs", cause=type(error).__name__)
            return []
        return [
            {"name": "jobs waiting for a slot", "messages": waiting, "messages_ready": waiting},
            {"name": "jobs in a slot", "messages": in_slots, "messages_unacknowledged": in_slots, "messages_ready": 0},
        ]


class _CancelJob(TaskRevoke):
    """The buttons Revoke and Terminate: they cancel the job, and answer with the outcome."""

    @authenticated
    async def post(self, taskid: str) -> None:
        """Cancel a job.

        Answers 403 for the task of another app, 409 with the reason if the job was submitted or has ended, and 503 if
        no worker answered.
        """
        if self.application.options.read_only:
            raise HTTPError(403, "Read only mode is enabled")
        task = self.application.events.state.tasks.get(taskid)
        if task is not None and task.name not in {None, GENERATE_TASK}:
            raise HTTPError(403, "This Flower cancels only Wanimate's jobs: revoke the task in its own app.")
        # Without destination a revoke would reach the workers of other apps too.
        await self.application.update_workers()
        workers = list(self.application.workers)
        if not workers:
            raise HTTPError(503, _NO_ANSWER)
        revoke, options = self.capp.control.revoke, {"destination": workers, "reply": True, "timeout": _ANSWER_SECONDS}
        answers: list[dict[str, dict[str, Any]]] | None
        answers = await self.run_blocking("task.revoke", taskid, revoke, taskid, **options)
        replies = [reply for answer in answers or [] for reply in answer.values()]
        if not replies:
            raise HTTPError(503, _NO_ANSWER)
        outcomes = {reply.get("outcomes", {}).get(taskid) for reply in replies}
        # All workers answer: the first one cancelled the job, for the others it had ended.
        for outcome in CancelOutcome:
            if outcome.value in outcomes:
                told = f"Job {taskid}: {outcome.explanation}."
                if outcome is not CancelOutcome.CANCELLED:
                    raise HTTPError(409, told.replace("%", "%%"))
                self.write({"message": told})
                return
        # No worker has recorded the job yet, or the id is unknown.
        self.write({"message": f"Revoked '{taskid}': its message is discarded when a worker takes it."})


class _JobsOnly:
    """Flower's API that sends tasks, limited to jobs."""

    def get_task_args(self: Any) -> tuple[Any, Any, dict[str, Any]]:
        """Return the arguments in the body; refuse tasks other than jobs, and options that could send one."""
        [name] = self.path_args
        if name != GENERATE_TASK:
            raise HTTPError(403, f"This Flower sends only {GENERATE_TASK}: send other tasks from their own app.")
        args, kwargs, options = super().get_task_args()  # type: ignore[misc]
        if args or options:
            raise HTTPError(400, 'Send {"kwargs": {…}} with the fields of the job, and nothing else.')
        return args, kwargs, options


class _SendJob(_JobsOnly, TaskSend):
    """`/api/task/send-task`."""


class _ApplyJob(_JobsOnly, TaskAsyncApply):
    """`/api/task/async-apply`."""


class _Refused(TaskApply):
    """Requests that would block one of Flower's threads for a whole job, or overwrite its result."""

    @authenticated
    async def post(self, _: str) -> None:
        raise HTTPError(403, "Not supported: send jobs with /api/task/async-apply, cancel them with /api/task/revoke.")


_HANDLERS: Final[list[Any]] = [
    (r"/tasks", _Jobs),
    (r"/broker", _Queues),
    (r"/metrics", _GuardedMetrics),
    (r"/api/task/revoke/(.+)", _CancelJob),
    (r"/api/task/send-task/(.+)", _SendJob),
    (r"/api/task/async-apply/(.+)", _ApplyJob),
    (r"/api/task/(?:apply|abort)/(.+)", _Refused),
]
