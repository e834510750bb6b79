"""What the vendor's answer means for a job: whether and how it has ended, and what follows. Nothing here is sent.

**Named tasks.** An odd answer to a submission may show a task id, and a callback may name one. For the latter, only
those who know the signed URL can do so: the vendor, or a reader of its logs. The URL belongs to one attempt of one
job, so the vendor itself would have to mix up its callbacks to name a wrong task. A reader of logs could name another
task of the same account, which the vendor knows too; that it is older than the attempt gives most of those away. See
docs/decisions/0017-callback-hints.md.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from wanimate.contract import Outcome
from wanimate.contract.durations import kind_of
from wanimate.errors import ContentViolation, DeadlineExceeded, GenerationFailed, InvalidRequest, JobFailed
from wanimate.failure_codes import FailureKind, failure_of
from wanimate.text import counted, format_duration

from ..ledger import Observation, bounded
from ..vendor import Failed, Pending, Refused, Rejected, StatusAnswer, Succeeded, TaskNotFound

if TYPE_CHECKING:
    from ..ledger import JobFields

#: The vendor's clock may be behind Redis's by this much, in milliseconds.
CLOCK_TOLERANCE_MS: Final = 60_000
#: A task that was just accepted may not be known everywhere at the vendor at once, in milliseconds.
SETTLING_MS: Final = 30_000
#: What the vendor says may be longer than what we saw by this, in seconds: requests take time, and clocks run unevenly.
_TOLERANCE_SECONDS: Final = 10.0
#: What the vendor says may be this many times shorter: Redis or the workers may have been away when the task ended. A
#: figure in another unit than the document's is a thousand times off.
_SHORTEST_SHARE: Final = 1 / 100
#: The delay before the first retry, in seconds; it doubles with each further one, up to the cap. Up to half of it is
#: added at random, so that jobs that failed together do not come back together.
_RETRY_BASE_SECONDS: Final = 10.0
_RETRY_CAP_SECONDS: Final = 300.0
#: The words of a task that is at work (vendor document, "Status Response Fields"); another may mean "no such task".
_AT_WORK: Final = frozenset({"pending", "processing"})
#: The inputs of a job, as the vendor's words name them.
_IMAGE: Final = re.compile(r"(?<![a-z])image", re.IGNORECASE)
_VIDEO: Final = re.compile(r"(?<![a-z])video", re.IGNORECASE)


# -- the end of a task ----------------------------------------------------------------------------------------------


def ending_of(
    answer: StatusAnswer, task_id: str | None, *, now_ms: int, begun_at_ms: int | None, ttl_seconds: float
) -> Outcome | None:
    """Return the outcome in a status answer; None while the task has not ended, or the answer is inconclusive.

    Args:
        answer: What the vendor said.
        task_id: The task that was polled.
        now_ms: When the status was requested, in Redis time.
        begun_at_ms: When the submission began, in Redis time; None if that is not known.
        ttl_seconds: For how long after the completion the vendor serves the URLs of a result, in seconds.
    """
    match answer:
        case Succeeded(result):
            now, said = datetime.fromtimestamp(now_ms / 1000, UTC), result.completed_at
            # By the vendor's clock, where that makes sense.
            is_sound = said is not None and said.timestamp() * 1000 >= (begun_at_ms or 0) - CLOCK_TOLERANCE_MS
            completed = min(said, now) if said is not None and is_sound else now
            expiry = completed + timedelta(seconds=ttl_seconds)
            return Outcome.success(result.model_copy(update={"urls_expire_at": expiry}))
        case Failed(code, message):
            failure = _error_of_request(code, message, task_id, message)
            return Outcome.failure(failure or GenerationFailed(message, code, task_id))
        case _:
            return None


def wants_credit(answer: Failed) -> bool:
    """Return whether a task failed because the account has no credit: that ends no job."""
    return failure_of(answer.code).kind is FailureKind.ACCOUNT


def observe(job: JobFields, answer: StatusAnswer, now_ms: int) -> Observation | None:
    """Return how long the vendor had a task; None if its end or its begin is not known.

    The vendor's own time stamps are exact, and do not depend on when we asked. Where they are missing or make no sense,
    the time from the acceptance to the answer stands in.
    """
    match answer:
        case Succeeded(result):
            created_at, completed_at = result.created_at, result.completed_at
        case Failed(created_at=created_at, completed_at=completed_at):
            pass
        case _:
            return None
    if job.submitted_at_ms is None:
        return None
    kind = kind_of(job.request)
    seen_seconds = max(0, now_ms - job.submitted_at_ms) / 1000
    if created_at is not None and completed_at is not None:
        said_seconds = (completed_at - created_at).total_seconds()
        if seen_seconds * _SHORTEST_SHARE <= said_seconds <= seen_seconds + _TOLERANCE_SECONDS and said_seconds > 0:
            return Observation(kind, said_seconds, round(completed_at.timestamp() * 1000))
    return Observation(kind, seen_seconds)


@dataclass(frozen=True, slots=True)
class NextAttempt:
    """A job is sent again.

    Args:
        cause: What the job's history says.
        code: What the vendor's task failed with.
        delay_ms: After how long, in milliseconds.
    """

    cause: str
    code: str
    delay_ms: int


def next_attempt(job: JobFields, outcome: Outcome, limit: int, now_ms: int) -> NextAttempt | Outcome:
    """Return what follows the end of a job's task: a retry, or the job's outcome.

    Args:
        job: The job.
        outcome: How the task ended.
        limit: How many retries the account allows by default.
        now_ms: The current time, in Redis time.
    """
    failure = None if outcome.result else outcome.exception()
    told = f"after {counted(job.retries, 'retry', 'retries')}" if job.retries else ""
    if isinstance(failure, GenerationFailed) and failure.is_transient:
        own = job.request.get("retry_transient")
        limit = limit if own is None else own
        if job.retries < limit:
            delay_ms, code = retry_delay_ms(job.retries, random.random()), failure.code or ""  # noqa: S311 - jitter
            if job.deadline_at_ms is None or now_ms + delay_ms < job.deadline_at_ms:
                cause = f"{code}; retry {job.retries + 1} of {limit} in {format_duration(delay_ms)}"
                return NextAttempt(cause, code, delay_ms)
            told = f"{told or 'not retried'}: the deadline comes before the next attempt"
    if failure is None or not told:
        return outcome
    return outcome.model_copy(update={"message": f"{outcome.message} ({told})"})


def retry_delay_ms(retries: int, uniform_random_01: float) -> int:
    """Return how long a job waits for its retry, in milliseconds."""
    return round(1000 * min(_RETRY_CAP_SECONDS, _RETRY_BASE_SECONDS * 2.0**retries * (1 + uniform_random_01 / 2)))


# -- the refusal of a submission ------------------------------------------------------------------------------------


def refusal_of(answer: Rejected) -> JobFailed:
    """Return the error of a job whose submission the vendor refused because of the request."""
    told = f"the vendor refused the request: {answer.message}"
    if answer.is_content:
        return ContentViolation(told, answer.code)
    return _error_of_request(answer.code, told, None, answer.message) or InvalidRequest(told, answer.code)


def proven_refusal_of(answer: Refused, refusals: int) -> JobFailed:
    """Return the error of a job that was refused repeatedly while others were accepted."""
    told = (
        f"refused {refusals} times with {answer.code} ({answer.message}), while other jobs were accepted: the cause is "
        "in this request. It was not accepted, so nothing is billed; change it before you enqueue it again"
    )
    is_of_vendor = failure_of(answer.code).kind in {FailureKind.TRANSIENT, FailureKind.GENERIC}
    return (GenerationFailed if is_of_vendor else InvalidRequest)(told, answer.code)


def _error_of_request(code: str | None, told: str, task_id: str | None, message: str) -> JobFailed | None:
    """Return the error that a failure code stands for, with the code as it came; None if it blames no request."""
    failure = failure_of(code)
    match failure.kind:
        case FailureKind.CONTENT:
            return ContentViolation(told, code, task_id, failure.field)
        case FailureKind.PROMPT | FailureKind.INPUT:
            # The message may name one of the two inputs.
            named = [field for field, word in (("image_url", _IMAGE), ("video_url", _VIDEO)) if word.search(message)]
            return InvalidRequest(told, code, task_id, failure.field or (named[0] if len(named) == 1 else None))
        case _:
            return None


# -- deadlines: the bound on every run, and the one that a job may bring along ---------------------------------------


def deadline_passed_while_waiting(job: JobFields, now_ms: int) -> DeadlineExceeded | None:
    """Return the failure of a waiting job that was not sent before its own deadline; None if it has time left."""
    if job.deadline_at_ms is None or now_ms < job.deadline_at_ms:
        return None
    if job.retries:
        return DeadlineExceeded(
            f"its deadline_seconds passed while it waited for a retry; its last task failed with "
            f"{job.transient_code}, and {counted(job.retries, 'task')} may be billed",
            job.transient_code,
            job.transient_task,
        )
    return DeadlineExceeded("its deadline_seconds passed before it was sent to the vendor; nothing is billed")


def overdue(job: JobFields, answer: StatusAnswer, now_ms: int, run_deadline_seconds: float) -> DeadlineExceeded | None:
    """Return the failure of a job whose task is not finished in time; None if it has time left.

    Args:
        job: A job that runs.
        answer: The answer to the status request. Only an answer about the task ends the job: an inconclusive one may
            hide a finished video.
        now_ms: The current time, in Redis time.
        run_deadline_seconds: How long any task may take after the vendor accepted it, in seconds.
    """
    if not isinstance(answer, Pending | TaskNotFound) or job.submitted_at_ms is None:
        return None
    if job.deadline_at_ms is not None and now_ms >= job.deadline_at_ms:
        bound, advice = "deadline_seconds passed", "give such jobs a later deadline"
    elif now_ms - job.submitted_at_ms >= run_deadline_seconds * 1000:
        bound, advice = f"{run_deadline_seconds:.0f} s passed", "raise WANIMATE_RUN_DEADLINE_SECONDS"
    else:
        return None
    said = f"its last state was {answer.state!r}" if isinstance(answer, Pending) else "its state is unknown"
    return DeadlineExceeded(
        f"{bound} and the vendor has not finished this task; {said}. It may still finish and be billed: "
        f"ask the vendor, or {advice}",
        None,
        job.task_id,
    )


def undocumented_state_of(answer: StatusAnswer) -> str:
    """Return a note about a state that the vendor's document does not name; empty for any other answer.

    Such a state does not show whether the task is finished, so a single one ends no job.
    """
    if not isinstance(answer, Pending) or answer.state in _AT_WORK:
        return ""
    return bounded(f"the state {answer.state!r} is not in the vendor's documentation")


# -- tasks that were named ------------------------------------------------------------------------------------------


class HintVerdict(Enum):
    """What a status answer says about a hint."""

    #: The task exists and may be the job's.
    RIGHT = auto()
    #: The vendor does not know it, or made it before the job was sent.
    WRONG = auto()
    #: The answer is inconclusive: poll again.
    UNDECIDED = auto()


def check_hint(job: JobFields, answer: StatusAnswer, now_ms: int) -> HintVerdict:
    """Return whether the polled task is the job's."""
    match answer:
        case TaskNotFound():
            is_new = job.hint_by == "answer" and now_ms < (job.begun_at_ms or 0) + SETTLING_MS
            return HintVerdict.UNDECIDED if is_new else HintVerdict.WRONG
        case Pending(state, created_at) if state in _AT_WORK:
            pass
        case Failed(created_at=created_at):
            pass
        case Succeeded(result):
            created_at = result.created_at
        case _:
            return HintVerdict.UNDECIDED
    if created_at is None or job.begun_at_ms is None:
        return HintVerdict.RIGHT
    is_older = created_at.timestamp() * 1000 < job.begun_at_ms - CLOCK_TOLERANCE_MS
    return HintVerdict.WRONG if is_older else HintVerdict.RIGHT
