"""The states of a job: who moves it on from each, and what a crash there means."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """Where a job stands in the ledger; every change is one Lua script.

    A job in `ADMITTED`, `SUBMITTING`, `UNKNOWN` or `RUNNING` holds one upstream slot; all others hold none.
    """

    #: Recorded, in the waiting set, no message in flight. The script that frees a slot moves it on; nothing to lose.
    WAITING = "waiting"
    #: Not a job but one more caller of one: it ends as that job, its leader, ends. The worker that delivers the
    #: leader's outcome settles it; if that worker dies, its due time passes and a poll settles it.
    FOLLOWING = "following"
    #: Has a slot. The process that granted it moves it on, or one that takes it from the list `ready`. That process
    #: dies: its due time passes and a poll offers it again. Derived, not stored: the hash says `waiting` and the slots
    #: set holds the job.
    ADMITTED = "admitted"
    #: The intent is written, the POST may have been sent. The submitting worker moves it on. Worker dies: its due
    #: time passes and it becomes `UNKNOWN`, for the vendor may have accepted the task.
    SUBMITTING = "submitting"
    #: The answer was lost. Keeps its slot; the vendor's callback or an operator reveals the task, or its bound passes.
    UNKNOWN = "unknown"
    #: The vendor has the task and we have its id. The poller moves it on; a dead poller's lease lapses.
    RUNNING = "running"
    #: The vendor has finished the video, which is being copied to the account's store. A keeper moves it on. The keeper
    #: dies: its lease ends, and another one copies the video.
    KEEPING = "keeping"
    #: The outcome is known, and the slot is handed on. The process that settled it delivers it. That process dies: its
    #: due time passes and a poll offers it again.
    SETTLED = "settled"
    #: The result is in the Celery backend. Final; the record expires with the result.
    DELIVERED = "delivered"


class JobState(StrEnum):
    """What a caller sees of a job."""

    #: Enqueued here, not yet recorded by a worker.
    QUEUED = "queued"
    #: Waits for an upstream slot. Cancelling is free.
    WAITING = "waiting"
    #: Has a slot and is being sent to the vendor.
    SUBMITTING = "submitting"
    #: The answer to the submission was lost; it may have been billed.
    UNKNOWN = "unknown"
    #: The vendor renders it. Billed.
    RUNNING = "running"
    #: The vendor has finished it, and the video is being copied to the account's store.
    KEEPING = "keeping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


class CancelOutcome(StrEnum):
    """What became of a request to cancel, as `explanation` tells a person."""

    CANCELLED = "cancelled"
    BILLED = "billed"
    UNKNOWN = "unknown"
    FINISHED = "finished"

    @property
    def explanation(self) -> str:
        """One sentence for a person."""
        return {
            # Or not sent again after a transient failure: then it has been billed before, perhaps.
            CancelOutcome.CANCELLED: "cancelled before it was sent to the vendor; nothing more is billed",
            CancelOutcome.BILLED: (
                "already sent to the vendor, which has no cancel: it runs on, is billed, and its result will be "
                "delivered"
            ),
            CancelOutcome.UNKNOWN: (
                "sent to the vendor, whose answer is not known: it may run and may be billed; "
                "what becomes of it will be delivered"
            ),
            CancelOutcome.FINISHED: "had already ended; nothing was changed",
        }[self]
