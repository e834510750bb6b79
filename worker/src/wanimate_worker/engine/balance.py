"""The account's balance: asked for now and then, kept, and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError
from wanimate.contract.cost import format_usd

from ..ledger.balance import SELDOM_MS
from ..telemetry import get_logger
from ..vendor import Balance, Exchange, NoBalance, Throttled, Unauthorised
from .sending import RightToSend

if TYPE_CHECKING:
    from ..stopwatch import Stopwatch
    from ..vendor import BalanceAnswer
    from .runtime import Runtime

log = get_logger(__name__)

#: A vendor that throttles this request is left alone for so long at least, in ms.
_THROTTLED_MS: Final = 600_000


def read_balance(runtime: Runtime, asked: Stopwatch, answered_micro_usd: int) -> None:
    """Ask for the balance and write it down.

    Args:
        runtime: The vendor, the ledger and the settings.
        asked: Since when there is a request permit.
        answered_micro_usd: What `claim_balance` returned.
    """
    exchange = Exchange()
    try:
        answer = runtime.vendor.balance(exchange, may_send=RightToSend(runtime.settings, asked))
        job_log = log.bind(**exchange.facts())
        job_log.debug("asked for the balance", answer=type(answer).__name__)
        if isinstance(answer, Balance):
            _keep(runtime, answer.micro_usd, answered_micro_usd)
        else:
            why = why_unread(answer)
            if runtime.ledger.balance.note_none(why, again_ms=_again_ms(answer)).is_news:
                job_log.warning("the balance could not be read; the last reading counts, if there is one", cause=why)
    except RedisError as error:
        log.warning("Redis is away; the balance is read later", cause=error)
    except Exception:
        log.exception("unexpected error while reading the balance")


def _keep(runtime: Runtime, micro_usd: int, answered_micro_usd: int) -> None:
    ledger = runtime.ledger
    weighed, shown = ledger.balance.record(micro_usd, answered_micro_usd), format_usd(micro_usd)
    if weighed.is_low and not weighed.was_low:
        log.error("the balance is too low; jobs wait, running tasks are polled", balance=shown)
    if weighed.was_low and not weighed.is_low:
        log.warning("the balance suffices again; submissions go on", balance=shown)
    if weighed.is_out_of_credit and micro_usd > 0 and not weighed.is_low and ledger.gate.unsuspend():
        log.warning("the account has credit again and goes on", balance=shown)
    runtime.go_on(ledger.polls.grant())


def why_unread(answer: BalanceAnswer) -> str:
    """Return why the balance is not in an answer.

    Args:
        answer: Any but a balance.
    """
    match answer:
        case Unauthorised(status, message):
            return f"the vendor refuses to tell it ({status}): {message}"
        case Throttled(_, message):
            return f"throttled: {message}"
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
