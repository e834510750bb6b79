"""A snapshot as `wanimate-worker top` shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from wanimate.contract.cost import format_usd
from wanimate.text import one_line

from .problems import Urgency, problems_of
from .words import balance_of, number, percent, span, state_of, why_waiting

if TYPE_CHECKING:
    from rich.console import RenderableType

    from .problems import Problem
    from .snapshot import Snapshot

_BAR_WIDTH: Final = 24
_TITLE: Final[Any] = {"title_justify": "left", "title_style": "bold"}
_STYLES: Final = {Urgency.NOW: "red", Urgency.SOON: "yellow", Urgency.SOMETIME: "blue"}


def panel_of(snapshot: Snapshot) -> RenderableType:
    """Return everything about an account, for a terminal or plain."""
    # What needs somebody comes first: a small terminal cuts off the end.
    parts = [_head(snapshot), *(_problem(problem) for problem in problems_of(snapshot)), _figures(snapshot)]
    if why := why_waiting(snapshot):
        parts += [Text(), _waiting(snapshot), Text(why)]
    if snapshot.cost.seconds.by_label:
        parts += [Text(), _labels(snapshot)]
    return Group(*parts)


def away(error: Exception) -> RenderableType:
    """Return what is shown while Redis does not answer."""
    return Text(
        f"Redis does not answer ({type(error).__name__}); trying again. wanimate-worker doctor says more.", "red"
    )


def _head(snapshot: Snapshot) -> RenderableType:
    style = "bold red" if snapshot.needs_somebody else "bold green" if snapshot.is_submitting else "bold yellow"
    head = Text.assemble(("Wanimate", "bold"), f"  account {snapshot.account}  ", (state_of(snapshot), style))
    return head.append(f"  {snapshot.at:%Y-%m-%d %H:%M:%S} UTC", "dim")


def _figures(snapshot: Snapshot) -> Table:
    table = Table.grid(padding=(0, 2))
    slots, budget = snapshot.slots, snapshot.budget
    lowered = f" (cap {number(slots.cap)}, lowered)" if slots.effective_cap < slots.cap else ""
    table.add_row("slots", _bar(slots.used_ratio), f"{number(slots.used)} of {number(slots.effective_cap)}{lowered}")
    table.add_row(
        "requests",
        _bar(budget.used_ratio),
        f"{percent(budget.used_ratio)} of {number(budget.per_minute_limit)} a minute: "
        f"{number(budget.submits_per_minute)} submissions, {number(budget.polls_per_minute)} polls",
    )
    _add_money(table, snapshot)
    recent = snapshot.recent
    if recent is not None:
        ended = ", ".join(f"{number(count)} {kind}" for kind, count in recent.tally.ended.items())
        pace = f"{ended} in {span(recent.over_seconds)}; {number(recent.ended_per_minute)} a minute"
        table.add_row("ended", "", pace)
        if recent.tally.retries:
            again = f"{number(recent.tally.retries)} after transient failures, in {span(recent.over_seconds)}"
            table.add_row("sent again", "", again)
        lag = recent.tally.lag
        if lag.count:
            quantiles = f"median {span(lag.quantile_seconds(0.5))}, 95 of 100 within {span(lag.quantile_seconds(0.95))}"
            table.add_row("noticed after", "", quantiles)
        table.add_row("429 answers", "", f"{number(recent.tally.throttled)} in {span(recent.over_seconds)}")
    beat = "none in the last day" if snapshot.beat_age_seconds is None else f"{span(snapshot.beat_age_seconds)} ago"
    queued = number(sum(snapshot.queues.values()))
    table.add_row("last poll", "", f"{beat}; messages: {queued} queued, {number(snapshot.held_messages)} with workers")
    if not snapshot.waiting:
        table.add_row("waiting", "", "nothing waits")
    return table


def _add_money(table: Table, snapshot: Snapshot) -> None:
    seconds, money, balance = snapshot.cost.seconds, snapshot.cost.money, snapshot.balance
    if money is not None:
        video = "" if seconds.limit is not None else f" for {number(seconds.today)} s"
        most = "" if money.limit is None else f" of {format_usd(money.limit)}"
        bar = "" if money.limit is None else _bar(money.used_ratio)
        table.add_row("billed", bar, f"{format_usd(money.today)}{most}{video} today, estimated")
    name = "billed" if money is None else ""
    if seconds.limit is not None:
        text = f"{number(seconds.today)} of {number(seconds.limit)} s today, estimated"
        table.add_row(name, _bar(seconds.used_ratio), text)
    elif money is None:
        table.add_row(name, "", f"{number(seconds.today)} s today, estimated; no daily limit")
    if balance.micro_usd is not None or balance.has_threshold:
        table.add_row("balance", "", Text(balance_of(balance), "yellow" if balance.is_below_warning else ""))


def _waiting(snapshot: Snapshot) -> Table:
    table = Table(box=None, pad_edge=False, title=f"{number(snapshot.waiting)} waiting", **_TITLE)
    table.add_column("priority", header_style="dim")
    for name in ("jobs", "next one waits for", "all done in about"):
        table.add_column(name, justify="right", header_style="dim")
    for band in snapshot.bands:
        figures = (number(band.waiting), span(band.oldest_seconds), span(band.eta_seconds))
        table.add_row(band.priorities, *figures, style="" if band.waiting else "dim")
    return table


def _labels(snapshot: Snapshot) -> Table:
    table = Table(box=None, pad_edge=False, title="billed today by label", show_header=False, **_TITLE)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(justify="right")
    money = snapshot.cost.money
    for label, seconds in list(snapshot.cost.seconds.by_label.items())[:5]:
        amount = "" if money is None else format_usd(money.by_label[label])
        table.add_row(Text(one_line(label)), f"{number(seconds)} s", amount)
    return table


def _problem(problem: Problem) -> RenderableType:
    told = Text.assemble(f"{one_line(problem.advice)}.\n", (f"$ {one_line(problem.command)}", "bold"))
    return Group(Text(f"● {one_line(problem.text)}", _STYLES[problem.urgency]), Padding(told, (0, 0, 0, 2)))


def _bar(share: float) -> ProgressBar:
    # Rich's own colours, red and green, would say that much is bad or good.
    done = min(1.0, share)
    return ProgressBar(total=1.0, completed=done, width=_BAR_WIDTH, complete_style="cyan", finished_style="cyan")
