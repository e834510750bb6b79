"""`wanimate.poll`: looks at the jobs whose time has come."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from wanimate.contract import CONTROL_QUEUE, POLL_TASK, Outcome, Stage
from wanimate.errors import (
    ContentViolation,
    DeadlineExceeded,
    GenerationFailed,
    JobFailed,
    SubmissionUnknown,
)

from ..upstream import (
    Failed,
    Forgotten,
    NotSent,
    Pending,
    StatusAnswer,
    Succeeded,
    Throttled,
    Unauthorised,
    Unreadable,
)
from .base import InternalTask

if TYPE_CHECKING:
    from ..ledger import Claim, JobFields

log = logging.getLogger(__name__)

#: After an answer that said nothing about the task, it is asked again after this, in seconds.
_ASK_AGAIN_SECONDS: Final = 5.0
#: A run gives its thread back after this and leaves the rest to the next tick, in seconds.
_LONGEST_RUN_SECONDS: Final = 5.0
#: Asking for a task that cannot exist tells whether the vendor takes the key again.
_PROBE_TASK_ID: Final = "wanimate-key-probe"


class PollTask(InternalTask):
    """Claims due jobs in a batch, asks for the state of those that run, and repairs those that a crash left behind."""

    name = POLL_TASK

    def run(self) -> None:
        """Look until nothing more is due, and call others in when one batch is not enough."""
        if not self.runtime.poll_turns.acquire(blocking=False):
            return
        stop_at = time.monotonic() + _LONGEST_RUN_SECONDS
        try:
            self._wake()
            while self._look() and time.monotonic() < stop_at:
                pass
        except (RedisError, OperationalError) as error:
            log.warning("Redis is away (%s); what was claimed is looked at again when its lease ends", error)
        finally:
            self.runtime.poll_turns.release()

    def _wake(self) -> None:
        """Do what only the passing of time brings about: a probe, or slots that are free again."""
        runtime = self.runtime
        if runtime.ledger.claim_probe():
            self._probe()
        runtime.resume(runtime.ledger.grant())

    def _look(self) -> bool:
        """Look at one batch of due jobs, and return whether more may be due and may be asked about."""
        runtime = self.runtime
        claim = runtime.ledger.claim(runtime.settings.poll_batch_size)
        jobs = runtime.ledger.read(claim.job_ids)
        self._repair([job for job in jobs if job.stage is not Stage.RUNNING])
        running = [job for job in jobs if job.stage is Stage.RUNNING]
        is_full = len(jobs) == runtime.settings.poll_batch_size
        return self._poll(claim, running, is_full=is_full) and is_full

    # -- running jobs: ask --------------------------------------------------------------------------------------

    def _poll(self, claim: Claim, jobs: list[JobFields], *, is_full: bool) -> bool:
        """Ask about the jobs, as many at once as there are threads, and return whether the budget allowed all."""
        ledger, width = self.runtime.ledger, self.runtime.settings.poll_concurrency
        for start in range(0, len(jobs), width):
            together = jobs[start : start + width]
            # Taken just before they are used: a permit that waits would be used in somebody else's window.
            permits = ledger.permit(len(together))
            if start == 0 and is_full and permits == len(together):
                # More may be due: another process starts on it while this one waits for answers.
                self.apply_async(queue=CONTROL_QUEUE)
            self._ask_together(claim, together[:permits])
            if permits < len(together):
                # Due again at once, for the next tick.
                ledger.plan(claim.token, dict.fromkeys((job.job_id for job in jobs[start + permits :]), 0))
                return False
        return True

    def _ask_together(self, claim: Claim, jobs: list[JobFields]) -> None:
        if not jobs:
            return
        runtime = self.runtime
        in_flight = runtime.ledger.in_flight()
        answers = runtime.pollers.map(lambda job: self._ask(claim, job), jobs)
        delays_ms: dict[str, int] = {}
        is_well = False
        for job, answer in zip(jobs, answers, strict=True):
            is_well = is_well or isinstance(answer, Pending | Succeeded | Failed)
            if isinstance(answer, Pending):
                delays_ms[job.job_id] = round(runtime.poll_delay_seconds(in_flight) * 1000)
            elif not isinstance(answer, Succeeded | Failed):
                delays_ms[job.job_id] = round(_ASK_AGAIN_SECONDS * 1000)
        runtime.ledger.plan(claim.token, delays_ms, answered_since_ms=claim.claimed_at_ms if is_well else None)

    def _ask(self, claim: Claim, job: JobFields) -> StatusAnswer:
        """Ask for one job's state and settle it at once if it has ended."""
        try:
            answer: StatusAnswer = self.runtime.upstream.status(job.task_id or "")
        except Exception as error:
            log.exception("job %s: unexpected error while polling", job.job_id)
            answer = Unreadable(f"{type(error).__name__} while polling")
        match answer:
            case Succeeded(result):
                self._settle(job, Outcome.success(result))
            case Failed(code, message):
                kind = ContentViolation if code == "CONTENT_VIOLATION" else GenerationFailed
                self._settle(job, Outcome.failure(kind(message, code, job.task_id)))
            case _:
                self._note_trouble(claim, answer)
                self._check_deadline(claim, job, answer)
        return answer

    def _note_trouble(self, claim: Claim, answer: StatusAnswer) -> None:
        ledger = self.runtime.ledger
        match answer:
            case Throttled():
                ledger.close_gate(
                    f"throttled: {answer.message}",
                    sent_at_ms=claim.claimed_at_ms,
                    retry_after_seconds=answer.retry_after_seconds,
                )
            case NotSent(reason):
                ledger.close_gate(f"not sent: {reason}", sent_at_ms=claim.claimed_at_ms)
            case Unauthorised(_, message):
                if ledger.pause(message):
                    log.error("account paused, the vendor refuses the key: %s; jobs wait, probing goes on", message)
            case Forgotten(message) | Unreadable(message):
                log.warning("a status request said nothing: %s", message)
            case _:
                pass

    def _check_deadline(self, claim: Claim, job: JobFields, answer: StatusAnswer) -> None:
        deadline_ms = self.runtime.settings.run_deadline_seconds * 1000
        if not isinstance(answer, Pending | Forgotten) or job.submitted_at_ms is None:
            # Only a word about the task ends it: an answer that says nothing may hide a finished video.
            return
        if claim.claimed_at_ms - job.submitted_at_ms < deadline_ms:
            return
        said = f"its last state was {answer.state!r}" if isinstance(answer, Pending) else "its state is not known"
        failure = DeadlineExceeded(
            f"the vendor has not finished this task within {deadline_ms / 1000:.0f} s; {said}. It may still finish "
            "and be billed: ask the vendor, or raise WANIMATE_RUN_DEADLINE_SECONDS",
            None,
            job.task_id,
        )
        # By the clock, so only while the claim holds; what the vendor says of the end is true whoever writes it.
        self._settle(job, Outcome.failure(failure), token=claim.token)

    def _settle(self, job: JobFields, outcome: Outcome, *, token: str = "") -> None:
        granted = self.runtime.ledger.settle(job.job_id, job.nonce, outcome, token=token)
        if granted is not None:
            log.info("job %s: %s as %s", job.job_id, outcome.kind.value, job.task_id)
            self.runtime.resume([job.job_id, *granted])

    # -- what a crash left behind -------------------------------------------------------------------------------

    def _repair(self, jobs: list[JobFields]) -> None:
        resumable: list[str] = []
        for job in jobs:
            match job.stage:
                case Stage.WAITING | Stage.SETTLED | None:
                    # Its message was lost, or its worker died: it is sent again. One without a record is forgotten.
                    resumable.append(job.job_id)
                case Stage.SUBMITTING:
                    log.error("job %s: its worker died while submitting; it may have been accepted", job.job_id)
                    self.runtime.ledger.lose(job.job_id, job.nonce, "the worker died while submitting")
                case Stage.UNKNOWN:
                    resumable += self._decide_unknown(job)
                case Stage.DELIVERED:
                    self.runtime.ledger.finish(job.job_id)
                case _:
                    pass
        self.runtime.resume(resumable)

    def _decide_unknown(self, job: JobFields) -> list[str]:
        ledger = self.runtime.ledger
        if (job.request.get("on_unknown") or self.runtime.settings.on_unknown) == "resubmit":
            log.warning("job %s: its submission is lost; submitting again, as it was told to", job.job_id)
            return ledger.release(job.job_id, job.nonce) or []
        failure: JobFailed = SubmissionUnknown(
            f"the answer to the submission was lost ({job.unknown_why}): the vendor may have accepted and billed it, "
            "or not. Look in the vendor's task list before you enqueue it again",
        )
        granted = ledger.settle(job.job_id, job.nonce, Outcome.failure(failure))
        return [] if granted is None else [job.job_id, *granted]

    # -- a paused account ---------------------------------------------------------------------------------------

    def _probe(self) -> None:
        answer = self.runtime.upstream.status(_PROBE_TASK_ID)
        # Any answer but a refusal will do: the vendor's document does not say what it answers for an unknown task. If
        # it refuses the key after all, the next submission pauses the account again and costs nothing.
        if not isinstance(answer, Unauthorised | Throttled | NotSent) and self.runtime.ledger.unpause():
            log.warning("the vendor takes the key again; the account goes on")
