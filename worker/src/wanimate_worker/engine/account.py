"""The account: suspend, throttle and probe it, read its balance, housekeeping."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError
from wanimate.contract import Stage
from wanimate.contract.cost import format_usd

from ..ledger import SuspendedFor
from ..ledger.balance import SELDOM_MS
from ..telemetry import get_logger
from ..vendor import Balance, Exchange, NoBalance, NotSent, Throttled, Unauthorised
from .sending import RightToSend

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

    from ..ledger import JobFields, Ledger
    from ..stopwatch import Stopwatch
    from ..vendor import BalanceAnswer
    from .runtime import Runtime

log = get_logger(__name__)

#: A status request for a task that cannot exist shows whether the vendor accepts the key again.
_PROBE_TASK_ID: Final = "wanimate-key-probe"
#: After a 429 to a request for the balance none is sent for at least this long, in ms.
_THROTTLED_MS: Final = 600_000
_EVENTS: Final = {
    SuspendedFor.KEY: "account suspended, the vendor refuses the key; jobs wait, the worker probes the account",
    SuspendedFor.CREDIT: "account suspended, no credit; jobs wait, the worker probes the account",
}


def close_gate(
    ledger: Ledger, answer: Throttled | NotSent, sent_at_ms: int, job_log: BoundLogger, **throttle: Any
) -> None:
    """Send nothing for a while, because the vendor throttles or cannot be reached.

    Args:
        ledger: The account's ledger.
        answer: The answer to a request, or why it was not sent.
        sent_at_ms: When it was sent, in Redis time.
        job_log: The log of the request.
        throttle: What a 429 says of the limits, as `Gate.close` takes it.
    """
    what, cause = ("vendor 429", answer.message) if isinstance(answer, Throttled) else ("not sent", answer.reason)
    retry_after_seconds = answer.retry_after_seconds
    closed_ms = ledger.gate.close(
        f"{what}: {cause}", sent_at_ms=sent_at_ms, retry_after_seconds=retry_after_seconds, **throttle
    )
    job_log.warning(f"{what}; submissions are paused and resume automatically", cause=cause, closed_ms=closed_ms)


def suspend_account(ledger: Ledger, answer: Unauthorised, job_log: BoundLogger) -> None:
    """Suspend the account because of what the vendor answered."""
    what = SuspendedFor.CREDIT if answer.status == HTTPStatus.PAYMENT_REQUIRED else SuspendedFor.KEY
    if ledger.gate.suspend(answer.message, what):
        job_log.error(_EVENTS[what], cause=answer.message)


def wait_for_credit(runtime: Runtime, job: JobFields, message: str, job_log: BoundLogger) -> None:
    """Suspend the account because a task failed for lack of credit, and requeue its job."""
    suspend_account(runtime.ledger, Unauthorised(HTTPStatus.PAYMENT_REQUIRED, message), job_log)
    why = f"its task failed because the account has no credit: {message}"
    granted = runtime.ledger.jobs.release(job.job_id, job.nonce, why, may_be_billed=True, has_run=True)
    if granted is not None:
        job_log.warning("job requeued", stage=Stage.WAITING, cause=why)
    runtime.go_on(granted or ())


def probe_account(runtime: Runtime, permitted: Stopwatch) -> None:
    """Probe a suspended account, and end the suspension if the vendor accepts its key again.

    Any answer but a refusal will do: the vendor's document does not say what it answers for an unknown task.
    Submissions then begin with one, so that an account which is refused after all costs one request.
    """
    answer = runtime.vendor.status(_PROBE_TASK_ID, may_send=RightToSend(runtime.settings, permitted))
    if not isinstance(answer, Unauthorised | Throttled | NotSent) and runtime.ledger.gate.unsuspend():
        log.warning("the vendor accepts the key again; submissions resume")


def read_balance(runtime: Runtime, permitted: Stopwatch, answered_micro_usd: int) -> None:
    """Request the balance and record it.

    Args:
        runtime: The vendor, the ledger and the settings.
        permitted: Since when there is a request permit.
        answered_micro_usd: What `claim_balance` returned.
    """
    exchange = Exchange()
    try:
        answer = runtime.vendor.balance(exchange, may_send=RightToSend(runtime.settings, permitted))
        job_log = log.bind(**exchange.facts())
        job_log.debug("balance requested", answer=type(answer).__name__)
        if isinstance(answer, Balance):
            _keep_balance(runtime, answer.micro_usd, answered_micro_usd)
        elif runtime.ledger.balance.note_none(why := why_unread(answer), again_ms=_again_ms(answer)).is_news:
            job_log.warning("the balance could not be read; the last known balance is used", cause=why)
    except RedisError as error:
        log.warning("Redis is unavailable; the balance is read later", cause=error)
    except Exception:
        log.exception("unexpected error while reading the balance")


def _keep_balance(runtime: Runtime, micro_usd: int, answered_micro_usd: int) -> None:
    ledger = runtime.ledger
    weighed, shown = ledger.balance.record(micro_usd, answered_micro_usd), format_usd(micro_usd)
    if weighed.is_low and not weighed.was_low:
        log.error("the balance is too low; submissions stop, running tasks are polled", balance=shown)
    if weighed.was_low and not weighed.is_low:
        log.warning("the balance suffices again; submissions resume", balance=shown)
    if weighed.is_out_of_credit and micro_usd > 0 and not weighed.is_low and ledger.gate.unsuspend():
        log.warning("the account has credit again; submissions resume", balance=shown)
    runtime.go_on(ledger.polls.grant())


def why_unread(answer: BalanceAnswer) -> str:
    """Return why the balance is not in an answer; empty if it is."""
    match answer:
        case Unauthorised(status, message):
            return f"the vendor refused the request ({status}): {message}"
        case Throttled(_, message):
            return f"vendor 429: {message}"
        case Balance():
            return ""
        case _:
            return answer.reason


def _again_ms(answer: BalanceAnswer) -> int:
    match answer:
        case NoBalance():
            return SELDOM_MS
        case Throttled(seconds):
            return max(_THROTTLED_MS, round(1000 * (seconds or 0)))
        case _:
            return 0


def keep_house(runtime: Runtime) -> None:
    """Give stray slots a due time, grant free slots, drop failures whose records are gone.

    No transition leaves such strays, but a database edited by hand may.
    """
    strays = runtime.ledger.polls.repair()
    if strays:
        log.error("slots without a due time found; they are checked now", slots=strays)
    runtime.ledger.polls.trim()
    runtime.go_on(runtime.ledger.polls.grant())
