"""The states of a job: which process moves it on from each, and the effect of a crash there."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """The state of a job in the ledger; one Lua script makes each change.

    A job in `ADMITTED`, `SUBMITTING`, `UNKNOWN` or `RUNNING` has one slot; in other states it has none.
    """

    #: Recorded, in the waiting set, without a message. The script that frees a slot moves it on. A crash has no effect.
    WAITING = "waiting"
    #: A further caller of another job, its leader, with the same outcome. The worker that delivers the leader's outcome
    #: settles it. If that worker dies, its due time passes and a poll settles it.
    FOLLOWING = "following"
    #: Has a slot. The process that granted it moves it on, or one that takes it from the list `ready`. If that process
    #: dies, its due time passes and a poll offers it again. Derived, not stored: the hash says `waiting` and the slots
    #: set contains the job.
    ADMITTED = "admitted"
    #: The intent is recorded, and the POST may have been sent. The submitting worker moves it on. If that worker dies,
    #: its due time passes and it becomes `UNKNOWN`, because the vendor may have accepted the task.
    SUBMITTING = "submitting"
    #: The answer was lost. Keeps its slot until a callback or an operator gives the task id, or for a limit.
    UNKNOWN = "unknown"
    #: The vendor has the task, and its id is known. The poller moves it on. If the poller dies, its lease expires.
    RUNNING = "running"
    #: The vendor has finished the video, which is being copied to the account's store. A keeper moves it on. If the
    #: keeper dies, its lease expires and another one copies the video.
    KEEPING = "keeping"
    #: The outcome is known and the slot is free. The process that settled it delivers it. If that process dies, its due
    #: time passes and a poll offers it again.
    SETTLED = "settled"
    #: The result is in the Celery backend. Final; the record expires with the result.
    DELIVERED = "delivered"


class JobState(StrEnum):
    """The state of a job as its caller sees it."""

    #: Enqueued, but not recorded by a worker yet.
    QUEUED = "queued"
    #: Waiting for a slot. Cancelling is free.
    WAITING = "waiting"
    #: Has a slot and is being submitted to the vendor.
    SUBMITTING = "submitting"
    #: The answer to the submission was lost; the job may be billed.
    UNKNOWN = "unknown"
    #: The vendor is rendering the video. The job is billed.
    RUNNING = "running"
    #: The vendor has finished, and a worker copies the video to the account's store.
    KEEPING = "keeping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


class CancelOutcome(StrEnum):
    """The outcome of a request to cancel a job."""

    CANCELLED = "cancelled"
    BILLED = "billed"
    UNKNOWN = "unknown"
    FINISHED = "finished"

    @property
    def explanation(self) -> str:
        """The outcome in one sentence."""
        return {
            # "More", because an earlier attempt may be billed.
            CancelOutcome.CANCELLED: "cancelled before it was submitted; nothing more is billed",
            CancelOutcome.BILLED: (
                "already submitted, and the vendor cannot cancel tasks: the job continues, is billed, and delivers its "
                "result"
            ),
            CancelOutcome.UNKNOWN: (
                "already submitted, but the answer was lost: the task may run and may be billed; the job continues"
            ),
            CancelOutcome.FINISHED: "already ended; nothing changed",
        }[self]
