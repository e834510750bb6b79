"""One accepted task."""

from dataclasses import dataclass, field
from enum import StrEnum

from .outcomes import SUCCESS


class State(StrEnum):
    """The states of a task, which change as time passes. Source: the vendor's page, "Status Response Fields".

    pending -> processing after the first 5% of the duration; processing -> success or failed at its end.
    """

    PENDING = "pending"
    PROCESSING = "processing"
    SUCCESS = "success"
    FAILED = "failed"


class CallbackState(StrEnum):
    """What became of a task's callback."""

    NONE = "none"
    WAITING = "waiting"
    OK = "ok"
    FAILED = "failed"
    MISSING = "missing"
    REFUSED = "refused"


class AnswerLoss(StrEnum):
    """Why the answer to an accepted submit did not tell its task id as documented."""

    DROPPED = "dropped"
    ERROR_5XX = "error_5xx"
    BAD_JSON = "bad_json"
    MALFORMED_BODY = "malformed_body"
    #: The connection had closed before the answer: the caller gave up, or `refuse_for_seconds` closed it.
    GONE = "gone"


@dataclass(slots=True, eq=False, kw_only=True)
class Download:
    """One GET of a task's video and what was answered.

    Args:
        at_seconds: when it came, in real seconds of the simulator's clock.
        start: the first byte that it asked for.
        code: the HTTP status, 0 for none.
        fault: the switch that struck it.
        sent_bytes: bytes of the video that were handed to the network.
        complete: whether these reach from `start` to the end of the file.
    """

    at_seconds: float
    start: int = 0
    code: int = 0
    fault: str | None = None
    sent_bytes: int = 0
    complete: bool = False


@dataclass(slots=True, eq=False, kw_only=True)
class Task:
    """An accepted request and all that happened to it; moments are real seconds of the simulator's clock.

    Args:
        task_id: the vendor's name for it.
        marker: the request's name for itself.
        attempt: counts the accepted tasks of that marker, from 1.
        outcome: `success` or the fail code it ends with, known from the start.
        duration_seconds: simulated seconds it takes to render.
        accepted_at_seconds: when it was accepted.
        processing_at_seconds: when it leaves pending.
        completes_at_seconds: when it ends.
        video_seconds: length of the motion video.
        billed_seconds: what the account is charged for.
        cost_usd: what it is charged, in US dollars.
        base_url: where its result is served, without the path.
        input_json: the request's input.
        callback_url: where to tell its end, in callback mode.
        forget_draw: the task is forgotten once `forget_rate` is above this.
        answer_lost: what became of the submit's answer, if it was not the documented one.
        answer_delay_seconds: real seconds the submit's answer was held back by the fault switches.
        extra_callbacks: kinds of the POSTs made to its callback URL besides the true ones.
        downloads: every GET of its video after its end.
    """

    task_id: str
    marker: str
    attempt: int
    outcome: str
    duration_seconds: float
    accepted_at_seconds: float
    processing_at_seconds: float
    completes_at_seconds: float
    video_seconds: float
    billed_seconds: float
    cost_usd: float
    base_url: str
    input_json: bytes
    callback_url: str | None
    forget_draw: float
    forgotten: bool = False
    answer_lost: AnswerLoss | None = None
    answer_delay_seconds: float = 0.0
    polls: int = 0
    first_told_at_seconds: float | None = None
    callback_state: CallbackState = CallbackState.NONE
    callback_attempts: int = 0
    extra_callbacks: list[str] = field(default_factory=list)
    downloads: list[Download] = field(default_factory=list)

    def state(self, now_seconds: float) -> State:
        """Return the state at a moment."""
        if now_seconds >= self.completes_at_seconds:
            return State.SUCCESS if self.outcome == SUCCESS else State.FAILED
        return State.PENDING if now_seconds < self.processing_at_seconds else State.PROCESSING
