"""The vendor's decisions about requests, without HTTP."""

from collections.abc import Callable
from itertools import islice
from uuid import uuid4

from .account import Account
from .answering import Answering
from .answers import Answer
from .clock import Clock
from .draws import uniform
from .durations import Durations
from .faults import FaultBoard
from .gate import Gate
from .options import Options
from .outcomes import Outcomes
from .prompt_tags import asked_refusal, asks_to_lose_answer
from .refusals import Cause, DroppedError, RefusedError, out_of_credit
from .results import ResultRequest, Results, task_id_of
from .slots import Slots
from .status_data import listed, task_data
from .task import CallbackState, State, Task
from .truth import Kind, Truth
from .validation import InvalidRequestError, Submission, parse_submission
from .video_file import VideoFile
from .videos import billed_seconds, drawn_seconds

#: Share of a task's duration it is pending. Assumed: the vendor publishes no such figure.
_PENDING_SHARE = 0.05
#: The state of the `unknown_state_rate` switch.
_UNKNOWN_STATE = "queued_v2"
_WHOLE = ResultRequest()


class Vendor:
    """Accepts tasks, completes them as time passes, and answers status requests.

    Args:
        options: the limits, the durations and the outcomes.
        clock: the simulator's clock.
        board: the fault switches.
        truth: the ground-truth ledger.
        on_callback_task: called with every accepted task that wants a callback.
    """

    def __init__(
        self,
        options: Options,
        clock: Clock,
        board: FaultBoard,
        truth: Truth,
        on_callback_task: Callable[[Task], None],
    ) -> None:
        self._options = options
        self._clock = clock
        self._board = board
        self._truth = truth
        self._on_callback_task = on_callback_task
        self._gate = Gate(options, board, truth, truth.received.length_seconds)
        self._durations = Durations(
            seed=options.seed,
            mean_seconds=options.mean_seconds,
            sigma=options.sigma,
            length_share=options.length_share,
        )
        self.account = Account(options)
        self._outcomes = Outcomes(
            seed=options.seed,
            failure_rate=options.failure_rate,
            failure_codes=options.failure_codes,
            content_violation_rate=options.content_violation_rate,
        )
        self._answering = Answering(clock, board, truth)
        self._results = Results(options, clock, board, truth)
        self._slots = Slots()
        self._tasks: dict[str, Task] = {}
        self._attempts: dict[str, int] = {}
        self._stalled_at_seconds: float | None = None

    def submit(self, authorization: bytes, body: bytes, base_url: str = "") -> Answer:
        """Decide about a generation request.

        Args:
            authorization: the Authorization header.
            body: the request body.
            base_url: scheme and host that the request was sent to.
        """
        now_seconds = self._clock.now_seconds()
        self._truth.requested(Kind.SUBMIT)
        try:
            self._gate.enter(authorization, now_seconds, submission=body)
            submission = parse_submission(body, allow_http_callbacks=self._options.allow_non_loopback)
            if refused := asked_refusal(submission.prompt):
                raise refused
            self._check_capacity(now_seconds)
            task = self._accept(submission, now_seconds, base_url)
        except DroppedError:
            return self._answering.dropped()
        except InvalidRequestError as error:
            return self._answering.refuse(Kind.SUBMIT, RefusedError(400, str(error), data=error.data))
        except RefusedError as refused:
            return self._answering.refuse(Kind.SUBMIT, refused)
        is_lost = asks_to_lose_answer(submission.prompt, task.attempt)
        answer, task.answer_lost = self._answering.accepted(task.task_id, is_lost=is_lost)
        task.answer_delay_seconds = answer.delay_seconds
        return answer._replace(accepted=task)

    def status(self, authorization: bytes, task_id: str | None) -> Answer:
        """Decide about a status request.

        Args:
            authorization: the Authorization header.
            task_id: the `taskId` parameter, if there was one.
        """
        now_seconds = self._clock.now_seconds()
        self._truth.requested(Kind.STATUS)
        try:
            self._gate.enter(authorization, now_seconds)
            task = self._find(task_id)
        except DroppedError:
            return self._answering.dropped()
        except RefusedError as refused:
            return self._answering.refuse(Kind.STATUS, refused)
        data = task_data(task, self._reached(now_seconds), self._clock)
        if self._board.strikes("unknown_state_rate"):
            data = {"taskId": task.task_id, "state": _UNKNOWN_STATE, "createTime": data["createTime"]}
        answer, loss = self._answering.success(data)
        if "completeTime" in data and loss is None:
            self._truth.told(task, now_seconds + answer.delay_seconds)
        return answer

    def balance(self, authorization: bytes) -> Answer:
        """Decide about a request for the balance.

        Args:
            authorization: the Authorization header.
        """
        self._truth.requested(Kind.BALANCE)
        try:
            self._gate.enter(authorization, self._clock.now_seconds())
        except DroppedError:
            return self._answering.dropped()
        except RefusedError as refused:
            return self._answering.refuse(Kind.BALANCE, refused)
        return self._answering.success(0.0 if self._board.current.out_of_credit else self.account.balance_usd)[0]

    def result(self, name: str, request: ResultRequest = _WHOLE) -> Answer:
        """Decide about a request for a result; it needs no key, and counts neither as a request nor against the rate.

        Args:
            name: the last segment of the result URL.
            request: its method and headers.
        """
        task = self._tasks.get(task_id_of(name) or "")
        return self._results.answer(task, self._reached(self._clock.now_seconds()), request)

    def stall(self, *, stalled: bool) -> None:
        """Stop the progress of all tasks, or resume it: overdue tasks then end at once."""
        now_seconds = self._clock.now_seconds()
        if not stalled and self._stalled_at_seconds is not None:
            self._stalled_at_seconds = None
            self._slots.postpone(now_seconds)
        elif stalled and self._stalled_at_seconds is None:
            self._release(now_seconds)
            self._stalled_at_seconds = now_seconds

    def summary(self) -> dict[str, object]:
        """Return the ground truth's totals as of now."""
        self._release(self._clock.now_seconds())
        return {
            **self._truth.summary(self._slots, self._options.cap),
            "balance_usd": self.account.balance_usd,
            "spent_usd": self.account.spent_usd,
        }

    def tasks(self, offset: int, limit: int) -> dict[str, object]:
        """Return a page of all tasks, in the order they were accepted."""
        reached_seconds = self._reached(self._clock.now_seconds())
        page = islice(self._tasks.values(), offset, offset + limit)
        tasks = [listed(task, reached_seconds, self._clock) for task in page]
        return {"total": len(self._tasks), "offset": offset, "limit": limit, "tasks": tasks}

    def videos(self, offset: int, limit: int) -> tuple[int, list[tuple[VideoFile, dict[str, object]]]]:
        """Return how many tasks have ended well, and a page of their files with what happened to each."""
        reached_seconds = self._reached(self._clock.now_seconds())
        ended = [task for task in self._tasks.values() if task.state(reached_seconds) is State.SUCCESS]
        page = ended[offset : offset + limit]
        return len(ended), [(self._results.file(task), self._results.listed(task)) for task in page]

    def _check_capacity(self, now_seconds: float) -> None:
        self._release(now_seconds)
        in_use = self._slots.in_use
        if in_use >= self._options.cap:
            self._truth.overran_cap()
        if in_use + self._board.current.concurrency_used_elsewhere >= self._options.cap:
            self._gate.withdraw()
            raise RefusedError(429, "Rate limit exceeded: concurrent tasks", Cause.CONCURRENCY)

    def _accept(self, submission: Submission, now_seconds: float, base_url: str) -> Task:
        marker = submission.marker
        video_seconds = submission.video_seconds or drawn_seconds(self._options.seed, marker)
        billed = billed_seconds(video_seconds)
        cost_usd = self.account.cost_usd(billed, submission.resolution)
        if not self.account.covers(cost_usd):
            raise out_of_credit()
        self.account.charge(cost_usd)
        attempt = self._attempts[marker] = self._attempts.get(marker, 0) + 1
        duration_seconds = self._durations.seconds(
            marker,
            type_=submission.type_,
            resolution=submission.resolution,
            video_seconds=video_seconds,
        )
        real_seconds = self._clock.real_seconds(duration_seconds)
        task = Task(
            task_id=f"task_{uuid4().hex}",
            marker=marker,
            attempt=attempt,
            outcome=self._outcomes.of(marker, attempt, submission.prompt),
            duration_seconds=duration_seconds,
            accepted_at_seconds=now_seconds,
            processing_at_seconds=now_seconds + real_seconds * _PENDING_SHARE,
            completes_at_seconds=now_seconds + real_seconds,
            video_seconds=video_seconds,
            billed_seconds=billed,
            cost_usd=cost_usd,
            base_url=self._options.public_url or base_url,
            input_json=submission.input_json,
            callback_url=submission.callback_url,
            forget_draw=uniform(self._options.seed, "forget", str(len(self._tasks))),
        )
        self._tasks[task.task_id] = task
        self._slots.take(task)
        self._truth.accepted(task, marked=submission.marked)
        if task.callback_url is not None:
            task.callback_state = CallbackState.WAITING
            self._on_callback_task(task)
        return task

    def _find(self, task_id: str | None) -> Task:
        if not task_id:
            raise RefusedError(400, "Invalid parameters: taskId is required", data={"error": "taskId is required"})
        task = self._tasks.get(task_id)
        if task is None:
            raise RefusedError(self._board.current.not_found_status, "task not found")
        self._truth.polled(task)
        if not task.forgotten and task.forget_draw < self._board.current.forget_rate:
            task.forgotten = True
            self._board.note("forget_rate")
        if task.forgotten:
            raise RefusedError(self._board.current.not_found_status, "task not found")
        return task

    def _release(self, now_seconds: float) -> None:
        for task in self._slots.release(self._reached(now_seconds)):
            self._truth.completed(task)

    def _reached(self, now_seconds: float) -> float:
        """Return the moment up to which tasks have got on."""
        return now_seconds if self._stalled_at_seconds is None else self._stalled_at_seconds
