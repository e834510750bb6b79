"""`wanimate-worker limits`: the account's limits, for all workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from ..limit_settings import LIMIT_NAMES
from .session import Exit, Session, command

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..ledger import AccountLimits

_NO_LIMIT: Final = "none"
#: What may be removed: each option, its value, and its help.
_REMOVABLE: Final = (
    ("--daily-billed-seconds", "SECONDS", "Limit of billed video a day (UTC), in seconds"),
    ("--daily-billed-usd", "USD", "The same in US dollars; needs both prices"),
    ("--price-480p-usd-per-second", "USD", "Price of a billed second at 480p"),
    ("--price-720p-usd-per-second", "USD", "Price of a billed second at 720p"),
    ("--balance-warn-usd", "USD", "Warn when the balance at the vendor is below this"),
    ("--balance-hold-usd", "USD", "Submit no job that would leave less of the balance"),
)


def _or_none(context: click.Context, option: click.Parameter, value: str | None) -> Any:
    return value if value in {None, _NO_LIMIT} else click.FLOAT(value, option, context)


def _removable(function: Callable[..., Exit]) -> Callable[..., Exit]:
    for name, unit, text in reversed(_REMOVABLE):
        full = f"{text}; `{_NO_LIMIT}` removes it."
        function = click.option(name, callback=_or_none, metavar=unit, help=full)(function)
    return function


@command("limits --max-in-flight 500", Exit.REFUSED)
@click.option("--max-in-flight", type=int, metavar="N", help="Tasks at the vendor at once.")
@click.option("--requests-per-minute", type=int, metavar="N", help="Requests in any 60 s, submissions and polls.")
@_removable
@click.option("--retry-transient", type=int, metavar="N", help="Retries of a job after transient failures, 0 to 10.")
@click.option("--webhook-url", metavar="URL", help="Webhook URL of jobs without their own; `none` removes it.")
@click.option("--keep-url", metavar="URL", help="Store to which videos are copied; `none` removes it.")
@click.option("--events-kept", type=int, metavar="N", help="How many events of ended jobs are kept.")
@click.option("--api-base-url", metavar="URL", help="Another vendor: `drain` first, restart the workers after.")
def limits(session: Session, **options: Any) -> Exit:
    """Show or change the account's limits.

    A change applies at once, to all workers. The limits are kept in Redis: the first worker copies them from its
    WANIMATE_* settings, and after that the settings have no effect. Differences to the settings of this environment
    are printed.
    """
    settings, ledger = session.runtime.settings, session.ledger
    known = ledger.limits.read()
    changes = {name: value for name, value in options.items() if value is not None}
    if changes:
        wanted = _changed(session, known, changes)
        if not ledger.limits.set(wanted):
            session.line(
                "unchanged: tasks may still run at the current vendor. Run `wanimate-worker drain`, then this again",
                changed=False,
            )
            return Exit.REFUSED
        session.runtime.go_on(ledger.polls.grant())
        known = wanted
    if known is None:
        session.line("no limits yet: the first worker that starts sets them from its settings", known=False)
        return Exit.REFUSED
    _show(session, known, settings.disagreements(known))
    return Exit.OK


def _changed(session: Session, known: AccountLimits | None, changes: dict[str, Any]) -> AccountLimits:
    """Return the limits with the changes, checked against the bounds of the settings."""
    now = known or session.runtime.settings.account_limits()
    wanted = {name: None if value == _NO_LIMIT else value for name, value in changes.items()}
    fields = {name: getattr(now, name) for name in (*LIMIT_NAMES, "api_base_url")}
    return type(session.runtime.settings)(**{**fields, **wanted}).account_limits()


def _show(session: Session, known: AccountLimits, differences: list[str]) -> None:
    facts = {name: getattr(known, name) for name in LIMIT_NAMES}
    if session.as_json:
        session.line("", **facts, api_base_url=known.api_base_url, disagreements=differences)
        return
    rows = {
        "max in flight": f"{known.max_in_flight} tasks",
        "requests per minute": str(known.requests_per_minute),
        "daily billed seconds": _amount(known.daily_billed_seconds, "no limit"),
        "daily billed": _dollars(known.daily_billed_usd, "no limit"),
        "price at 480p": _dollars(known.price_480p_usd_per_second, "not set", " a second"),
        "price at 720p": _dollars(known.price_720p_usd_per_second, "not set", " a second"),
        "balance warns below": _dollars(known.balance_warn_usd, "never"),
        "no submissions below": _dollars(known.balance_hold_usd, "never"),
        "retry transient": str(known.retry_transient or "off"),
        "webhooks go to": known.webhook_url or "webhook_url of the job",
        "videos are kept in": known.keep_url or "not kept",
        "events kept": f"{known.events_kept:,}",
        "vendor": known.api_base_url or "not known",
    }
    for name, value in rows.items():
        session.line(f"{name:<20}  {value}")
    for difference in differences:
        session.note(f"note: {difference}; the account's value applies")


def _amount(value: float | None, without: str) -> str:
    return without if value is None else f"{value:g}"


def _dollars(value: float | None, without: str, unit: str = "") -> str:
    # Unrounded: a price may have more digits than an amount.
    return without if value is None else f"${value:g}{unit}"
