"""`wanimate-worker resolve`: gives a job the vendor's task that was found by hand."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import click
from wanimate.contract import Stage
from wanimate.contract.record import read_outcome
from wanimate.errors import DeadlineExceeded, SubmissionUnknown, TaskUnreadable

from ..ledger import Adoption
from ..stopwatch import Stopwatch
from .exits import EXIT_CODES, Exit
from .selection import follows
from .session import with_session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wanimate.contract import Outcome

    from ..vendor import MaySend
    from .session import Session

#: Failures after which the vendor may have a task all the same.
_OPEN_FAILURES: Final = {each.__name__ for each in (SubmissionUnknown, DeadlineExceeded, TaskUnreadable)}
#: How long to wait for a request permit, in seconds.
_PERMIT_SECONDS: Final = 5.0
_MOVED_ON: Final = "somebody else has changed this job just now: look at it again"


def _readable(_context: click.Context, _option: click.Parameter, task_id: str | None) -> str | None:
    if task_id is not None and (not task_id.strip() or any("\ud800" <= character <= "\udfff" for character in task_id)):
        raise click.BadParameter("the vendor's task id is expected, as text")
    return task_id


@click.command(epilog=EXIT_CODES)
@click.argument("job_id", metavar="ID")
@click.option(
    "--task-id",
    metavar="T",
    callback=_readable,
    help="The vendor's task id, as its task list shows it; else the one that was named.",
)
@with_session
def resolve(session: Session, job_id: str, task_id: str | None) -> Exit:
    """Attach a task of the vendor to a job whose submission was lost.

    A job in state unknown runs on with that task. For one that has failed already (SubmissionUnknown, DeadlineExceeded,
    TaskUnreadable) the vendor is asked at once: the outcome of an ended task replaces the failure, and a task that is
    still rendered takes a free slot. The id is not checked against the job's request: make sure that it is this
    job's. Without --task-id it is the one that an odd answer or a callback has named, which `show` prints as hint or
    task_id.
    """
    session.runtime.ledger.check_vendor(session.runtime.settings.api_base_url)
    return _Resolution(session, job_id, task_id).run()


class _Resolution:
    def __init__(self, session: Session, job_id: str, task_id: str | None) -> None:
        self._session, self._job_id, self._task_id = session, job_id, task_id or ""
        self._ledger = session.runtime.ledger

    def run(self) -> Exit:
        [record] = self._ledger.records.whole([self._job_id])
        fields = record.fields
        if not fields or "leader" in fields:
            obstacle = follows(fields["leader"]) if fields else "nothing is known about this job"
            return self._tell(Exit.REFUSED, "unchanged" if fields else "no record", obstacle)
        stage, outcome = Stage(fields["stage"]), read_outcome(fields)
        self._task_id = self._task_id or (outcome.task_id if outcome else fields.get("hint")) or ""
        if not self._task_id:
            return self._tell(Exit.REFUSED, "unchanged", "no task was named for it: find it, and give --task-id T")
        if self._task_id == (outcome.task_id if outcome else fields.get("task_id")) and self._is_resolved(outcome):
            return self._tell(Exit.OK, "unchanged", f"it has this task already ({stage.value})")
        if outcome is not None:
            return self._replace(stage, outcome, fields)
        if stage is Stage.UNKNOWN:
            return self._attach(fields.get("nonce", ""))
        return self._tell(Exit.REFUSED, "unchanged", f"its submission is not lost: it is {stage.value}")

    @staticmethod
    def _is_resolved(outcome: Outcome | None) -> bool:
        return outcome is None or outcome.error not in _OPEN_FAILURES

    def _attach(self, nonce: str) -> Exit:
        # It says nothing about when the vendor was well: a time long ago.
        if self._ledger.jobs.accept(self._job_id, nonce, task_id=self._task_id, first_poll_ms=0, begun_at_ms=-1):
            return self._tell(Exit.OK, "resolved", "it runs with this task, which is polled now")
        return self._tell(Exit.REFUSED, "unchanged", "news of its submission came just now: look at it again")

    def _replace(self, stage: Stage, outcome: Outcome, fields: Mapping[str, str]) -> Exit:
        if outcome.error not in _OPEN_FAILURES:
            ended = outcome.error or outcome.kind.value
            return self._tell(Exit.REFUSED, "unchanged", f"it ended as {ended}, so its submission is not lost")
        if stage is not Stage.DELIVERED:
            return self._tell(Exit.REFUSED, "unchanged", "its failure is being delivered right now: try again")
        may_send = self._permit()
        if may_send is None:
            why = "no request may be sent now, the gate is closed or the budget is spent: see `doctor`"
            return self._tell(Exit.UNAVAILABLE, "unchanged", why)
        return self._ask(fields["settled_at_ms"], may_send)

    def _ask(self, settled_at_ms: str, may_send: MaySend) -> Exit:
        from ..engine.endings import Served, ending_of
        from ..vendor import Pending, TaskNotFound

        runtime, task_id = self._session.runtime, self._task_id
        answer = runtime.vendor.status(task_id, may_send=may_send)
        served = Served(self._ledger.records.now_ms(), None, runtime.settings.result_urls_ttl_seconds)
        ending = ending_of(answer, task_id, served)
        if ending is not None:
            return self._deliver(settled_at_ms, ending)
        match answer:
            case Pending():
                return self._adopt(settled_at_ms)
            case TaskNotFound(message):
                return self._tell(Exit.REFUSED, "unchanged", f"the vendor does not know this task: {message}")
            case _:
                return self._tell(Exit.UNAVAILABLE, "unchanged", f"the vendor's answer does not tell: {answer}")

    def _deliver(self, settled_at_ms: str, ending: Outcome) -> Exit:
        key = self._session.result_key(self._job_id)
        if not self._ledger.failed.replace_outcome(
            self._job_id, settled_at_ms, ending, task_id=self._task_id, result_key=key
        ):
            return self._tell(Exit.REFUSED, "unchanged", _MOVED_ON)
        self._session.runtime.go_on([self._job_id])
        what = ending.error or ending.kind.value
        text = f"the task has ended ({what}); that is delivered in place of the failure"
        return self._tell(Exit.OK, "resolved", text)

    def _adopt(self, settled_at_ms: str) -> Exit:
        key = self._session.result_key(self._job_id)
        match self._ledger.failed.attach_task(self._job_id, settled_at_ms, task_id=self._task_id, result_key=key):
            case Adoption.ADOPTED:
                return self._tell(Exit.OK, "resolved", "the vendor still renders the task; the job runs with it")
            case Adoption.FULL:
                text = "the vendor still renders the task, and no slot is free: try again later"
                return self._tell(Exit.REFUSED, "unchanged", text)
            case Adoption.LOST:
                return self._tell(Exit.REFUSED, "unchanged", _MOVED_ON)

    def _permit(self) -> MaySend | None:
        """Take a request permit, and return how long it is good for; None if there is none."""
        from ..engine.sending import RightToSend

        give_up_at = time.monotonic() + _PERMIT_SECONDS
        while True:
            asked = Stopwatch()
            if self._ledger.polls.permit(1):
                return RightToSend(self._session.runtime.settings, asked)
            if time.monotonic() > give_up_at:
                return None
            time.sleep(0.2)

    def _tell(self, code: Exit, outcome: str, text: str) -> Exit:
        self._session.output.line(
            f"{self._job_id}  {outcome}  {text}",
            id=self._job_id,
            outcome=outcome,
            task_id=self._task_id or None,
            message=text,
        )
        return code
