"""`wanimate-worker limits`: what the vendor allows the account, for all workers at once."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from .exits import EXIT_CODES, Exit
from .session import with_session

if TYPE_CHECKING:
    from ..ledger import AccountLimits
    from .session import Session

_NO_LIMIT = "none"


def _daily_limit(context: click.Context, option: click.Parameter, value: str | None) -> Any:
    return value if value in {None, _NO_LIMIT} else click.FLOAT(value, option, context)


@click.command(epilog=EXIT_CODES)
@click.option("--max-in-flight", type=int, metavar="N", help="Upstream tasks at once.")
@click.option("--requests-per-minute", type=int, metavar="N", help="Requests in any 60 s, submissions and polls.")
@click.option(
    "--daily-billed-seconds",
    callback=_daily_limit,
    metavar="SECONDS",
    help="What may be billed in a day (UTC), in seconds of video; `none` for no limit.",
)
@click.option(
    "--retry-transient", type=int, metavar="N", help="How often a job is sent again after transient failures, 0 to 10."
)
@click.option("--api-base-url", metavar="URL", help="Another vendor; `drain` first, and then restart the workers.")
@with_session
def limits(session: Session, **options: Any) -> Exit:
    """Show the account's limits, or change those that are named, at once and for all workers.

    They are kept in Redis. The settings of the same names fill them when the first worker starts and count no more
    after that; where this environment's differ, it is said.
    """
    settings, ledger = session.runtime.settings, session.runtime.ledger
    known = ledger.account_limits()
    changes = {name: value for name, value in options.items() if value is not None}
    if changes:
        wanted = _changed(session, known, changes)
        if not ledger.set_limits(wanted):
            session.output.line(
                "unchanged: tasks may be at the vendor that is left; run `wanimate-worker drain`, then this again",
                changed=False,
            )
            return Exit.REFUSED
        session.runtime.resume(ledger.grant())
        known = wanted
    if known is None:
        session.output.line("not known yet: the first worker that starts fills them from its settings", known=False)
        return Exit.REFUSED
    _show(session, known, settings.disagreements(known))
    return Exit.OK


def _changed(session: Session, known: AccountLimits | None, changes: dict[str, Any]) -> AccountLimits:
    """Return the limits with the changes, within the bounds that settings have."""
    now = known or session.runtime.settings.account_limits()
    fields = {
        "max_in_flight": now.max_in_flight,
        "requests_per_minute": now.requests_per_minute,
        "daily_billed_seconds": now.daily_billed_seconds,
        "retry_transient": now.retry_transient,
        "api_base_url": now.api_base_url,
        **changes,
    }
    if fields["daily_billed_seconds"] == _NO_LIMIT:
        fields["daily_billed_seconds"] = None
    return type(session.runtime.settings)(**fields).account_limits()


def _show(session: Session, known: AccountLimits, differences: list[str]) -> None:
    facts: dict[str, Any] = asdict(known)
    del facts["daily_billed_ms"]
    daily_seconds = known.daily_billed_seconds
    if session.output.as_json:
        session.output.line("", **facts, daily_billed_seconds=daily_seconds, disagreements=differences)
        return
    session.output.line(f"max in flight         {known.max_in_flight} tasks")
    session.output.line(f"requests per minute   {known.requests_per_minute}")
    daily = "no limit" if daily_seconds is None else f"{daily_seconds:g}"
    session.output.line(f"daily billed seconds  {daily}")
    session.output.line(f"retry transient       {known.retry_transient or 'off'}")
    session.output.line(f"vendor                {known.api_base_url or 'not known'}")
    for difference in differences:
        session.output.note(f"note: {difference}, which counts")
