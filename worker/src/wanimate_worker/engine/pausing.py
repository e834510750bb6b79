"""Pausing an account that the vendor refuses, and finding out when it may go on."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from wanimate.contract import Stage

from ..ledger import SuspendedFor
from ..telemetry import get_logger
from ..vendor import NotSent, Throttled, Unauthorised
from .sending import RightToSend

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

    from ..ledger import JobFields, Ledger
    from ..stopwatch import Stopwatch
    from .runtime import Runtime

log = get_logger(__name__)

#: Asking for a task that cannot exist tells whether the vendor takes the key again.
_PROBE_TASK_ID: Final = "wanimate-key-probe"

_EVENTS: Final = {
    SuspendedFor.KEY: "account paused, the vendor refuses the key; jobs wait, probing goes on",
    SuspendedFor.CREDIT: "account paused, it has no credit; jobs wait, probing goes on",
}


def pause_account(ledger: Ledger, answer: Unauthorised, job_log: BoundLogger) -> None:
    """Pause the account because of what the vendor answered.

    Args:
        ledger: The account's ledger.
        answer: The refusal.
        job_log: The log of the request.
    """
    what = SuspendedFor.CREDIT if answer.status == HTTPStatus.PAYMENT_REQUIRED else SuspendedFor.KEY
    if ledger.gate.suspend(answer.message, what):
        job_log.error(_EVENTS[what], cause=answer.message)


def wait_for_credit(runtime: Runtime, job: JobFields, message: str, job_log: BoundLogger) -> None:
    """Pause the account because a task failed for want of credit, and put its job back: it is not at fault.

    Args:
        runtime: The ledger, and the way to go on with jobs.
        job: The job.
        message: The vendor's words.
        job_log: The log of the request.
    """
    pause_account(runtime.ledger, Unauthorised(HTTPStatus.PAYMENT_REQUIRED, message), job_log)
    why = f"its task failed for want of credit: {message}"
    granted = runtime.ledger.jobs.release(job.job_id, job.nonce, why, may_be_billed=True, has_run=True)
    if granted is not None:
        job_log.warning("job steps back", stage=Stage.WAITING, cause=why)
    runtime.go_on(granted or ())


def probe_account(runtime: Runtime, permitted: Stopwatch) -> None:
    """Ask whether the vendor takes the key of a paused account again, and let the account go on if it does.

    Any answer but a refusal will do: the vendor's document does not say what it answers for an unknown task.
    Submissions then begin with one, so that an account which is refused after all costs one request.

    Args:
        runtime: The vendor, the ledger and the settings.
        permitted: Since when there is a request permit.
    """
    answer = runtime.vendor.status(_PROBE_TASK_ID, may_send=RightToSend(runtime.settings, permitted))
    if not isinstance(answer, Unauthorised | Throttled | NotSent) and runtime.ledger.gate.unsuspend():
        log.warning("the vendor takes the key again; the account goes on")
