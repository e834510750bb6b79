"""Whether a job's time is up: the bound on every run, and the deadline that a job may bring along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wanimate.errors import DeadlineExceeded

from ..ledger import bounded
from ..vendor import Pending, StatusAnswer, TaskNotFound
from .hints import AT_WORK

if TYPE_CHECKING:
    from ..ledger import JobFields


def expired_in_line(job: JobFields, now_ms: int) -> DeadlineExceeded | None:
    """Return the failure of a job that was not sent before its own deadline; None if it has time left.

    Args:
        job: A job that waits.
        now_ms: The current time, in Redis time.
    """
    if job.deadline_at_ms is None or now_ms < job.deadline_at_ms:
        return None
    if job.retries:
        return DeadlineExceeded(
            f"its deadline_seconds passed while it waited to be sent again; its last task failed with "
            f"{job.transient_code}, and its {job.retries} tasks may be billed",
            job.transient_code,
            job.transient_task,
        )
    return DeadlineExceeded("its deadline_seconds passed before it was sent to the vendor; nothing is billed")


def odd_word_of(answer: StatusAnswer) -> str:
    """Return what is said of a state that the vendor's document does not name; empty for any other answer.

    Such a word does not tell whether the task is finished, so one of them ends no job.
    """
    if not isinstance(answer, Pending) or answer.state in AT_WORK:
        return ""
    return bounded(f"the state {answer.state!r} is not in the vendor's document")


def overdue(job: JobFields, answer: StatusAnswer, now_ms: int, run_deadline_seconds: float) -> DeadlineExceeded | None:
    """Return the failure of a job whose task is not finished in time; None if it has time left.

    Args:
        job: A job that runs.
        answer: What the vendor has just said of its task. Only a word about the task decides: an answer that says
            nothing may hide a finished video.
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
    said = f"its last state was {answer.state!r}" if isinstance(answer, Pending) else "its state is not known"
    return DeadlineExceeded(
        f"{bound} and the vendor has not finished this task; {said}. It may still finish and be billed: "
        f"ask the vendor, or {advice}",
        None,
        job.task_id,
    )
