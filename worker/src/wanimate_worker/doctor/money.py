"""The account's balance, as the vendor tells it now, or told it last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wanimate.contract.cost import format_usd

from ..durations import spelled
from ..tasks.balance import why_unread
from ..upstream import Balance, NoBalance
from .finding import Finding, fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..ledger import AccountLimits
    from ..runtime import Runtime


def check_balance(runtime: Runtime, limits: AccountLimits | None, *, asks_vendor: bool) -> Iterator[Finding]:
    """Yield what is left of the account's credit, by its thresholds.

    Args:
        runtime: The vendor and the ledger.
        limits: The account's; None where no worker has filled them yet.
        asks_vendor: Whether to ask the vendor; else the last reading of the workers is told.
    """
    counts = limits or runtime.settings.account_limits()
    if asks_vendor and runtime.settings.api_key is not None:
        answer = runtime.upstream.balance()
        if isinstance(answer, Balance):
            yield _weighed(answer.micro_usd, format_usd(answer.micro_usd), counts)
        else:
            yield _unknown(why_unread(answer), counts, is_absent=isinstance(answer, NoBalance))
        return
    known = runtime.ledger.balance()
    if known.micro_usd is None:
        yield _unknown(known.why or "no worker has read it", counts, is_absent=False)
    else:
        age = spelled(max(0, runtime.ledger.now_ms() - known.at_ms))
        yield _weighed(known.micro_usd, f"{format_usd(known.micro_usd)}, read {age} ago", counts)


def _weighed(micro_usd: int, text: str, limits: AccountLimits) -> Finding:
    hold, least = limits.balance_hold_micro_usd, limits.balance_warn_micro_usd
    if hold is not None and micro_usd < hold:
        return fail("balance", f"{text}: submissions are held below {format_usd(hold)}", "add credit at the vendor")
    if least is not None and micro_usd < least:
        return warn("balance", f"{text}, which is below {format_usd(least)}", "add credit at the vendor soon")
    if micro_usd <= 0:
        return fail("balance", f"{text}: the account is empty", "add credit at the vendor")
    return ok("balance", text)


def _unknown(why: str, limits: AccountLimits, *, is_absent: bool) -> Finding:
    text = f"not known: {why}"
    if limits.balance_warn_micro_usd is None and limits.balance_hold_micro_usd is None:
        return ok("balance", text)
    advice = "its thresholds have no effect; remove them with wanimate-worker limits --balance-hold-usd none"
    return warn("balance", text, advice if is_absent else f"see whether the key may read it; until then {advice}")
