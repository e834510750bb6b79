"""A snapshot as `wanimate-worker top` shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from wanimate.contract.cost import format_usd
from wanimate.text import one_line

from .finding import Severity
from .formatting import capitalize, number, percent, plural, span
from .rules import is_balance_low, problems_of
from .verdict import balance_of, is_submitting, needs_operator, state_of, why_waiting

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from .finding import Finding
    from .snapshot import Snapshot

#: Labels that are shown, those billed most.
_SHOWN_LABELS: Final = 5
#: Beside it most figures fit into 80 columns.
_BAR_WIDTH: Final = 16
_STYLES: Final = {Severity.FAIL: "red", Severity.WARN: "yellow", Severity.INFO: "blue"}


def panel_of(now: Snapshot, console: Console | None = None) -> RenderableType:
    """Return everything about an account.

    Args:
        now: The account.
        console: Where it has to fit; then what matters least is left out, and the last line says so.
    """
    problems = problems_of(now)
    layouts = [_Layout(), _Layout(has_labels=False), _Layout(has_labels=False, has_advice=False)]
    layouts += [
        _Layout(has_labels=False, has_advice=False, has_bands=False, problems=count)
        for count in range(len(problems), -1, -1)
    ]
    for layout in layouts:
        panel = _panel(now, problems, layout)
        if console is None or len(console.render_lines(panel, pad=False)) <= console.height:
            break
    return panel


@dataclass(frozen=True, slots=True)
class _Layout:
    """What of an account is shown; None are all problems."""

    has_labels: bool = True
    has_advice: bool = True
    has_bands: bool = True
    problems: int | None = None


def _panel(now: Snapshot, problems: list[Finding], layout: _Layout) -> Group:
    shown = problems[: layout.problems]
    why, labels = why_waiting(now), now.cost.seconds.by_label
    # What needs an operator comes first.
    parts = [_head(now), *(_problem(each, has_advice=layout.has_advice) for each in shown), _figures(now)]
    if why and layout.has_bands:
        parts += [Text(), Text(f"{number(now.waiting)} waiting", "bold"), _waiting(now)]
    if why:
        parts.append(Text(why))
    if labels and layout.has_labels:
        parts += [Text(), Text("billed today by label", "bold"), _labels(now)]
    left_out = [
        plural(len(problems) - len(shown), "problem") if len(shown) < len(problems) else "",
        "waiting jobs by priority" if why and not layout.has_bands else "",
        "advice" if shown and not layout.has_advice else "",
        plural(min(len(labels), _SHOWN_LABELS), "label") if labels and not layout.has_labels else "",
    ]
    if any(left_out):
        parts.append(Text(f"… and {', '.join(filter(None, left_out))}: wanimate-worker top --once", "dim"))
    return Group(*parts)


def _head(now: Snapshot) -> RenderableType:
    style = "bold red" if needs_operator(now) else "bold green" if is_submitting(now) else "bold yellow"
    head = Text.assemble(("Wanimate", "bold"), f"  account {now.account}  ", (state_of(now), style))
    return head.append(f"  {now.at:%Y-%m-%d %H:%M:%S} UTC", "dim")


def _figures(now: Snapshot) -> Table:
    table = Table.grid(padding=(0, 2))
    slots, budget = now.slots, now.budget
    lowered = f" (cap {number(slots.cap)}, lowered)" if slots.effective_cap < slots.cap else ""
    table.add_row("slots", _bar(slots.used_ratio), f"{number(slots.used)} of {number(slots.effective_cap)}{lowered}")
    table.add_row(
        "requests",
        _bar(budget.used_ratio),
        f"{percent(budget.used_ratio)} of {number(budget.per_minute_limit)} a minute: "
        f"{number(budget.submits_per_minute)} submissions, {number(budget.polls_per_minute)} polls",
    )
    _add_money(table, now)
    recent = now.recent
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
    beat = "none in the last day" if now.beat_age_seconds is None else f"{span(now.beat_age_seconds)} ago"
    queued = number(sum(now.queues.values()))
    table.add_row("last poll", "", f"{beat}; messages: {queued} queued, {number(now.held_messages)} with workers")
    if not now.waiting:
        table.add_row("waiting", "", "nothing waits")
    return table


def _add_money(table: Table, now: Snapshot) -> None:
    seconds, money, balance = now.cost.seconds, now.cost.money, now.balance
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
        table.add_row("balance", "", Text(balance_of(balance), "yellow" if is_balance_low(balance) else ""))


def _waiting(now: Snapshot) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("priority", header_style="dim")
    for name in ("jobs", "next one waits for", "all done in about"):
        table.add_column(name, justify="right", header_style="dim")
    for band in now.bands:
        figures = (number(band.waiting), span(band.oldest_seconds), span(band.eta_seconds))
        table.add_row(band.priorities, *figures, style="" if band.waiting else "dim")
    return table


def _labels(now: Snapshot) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(justify="right")
    money = now.cost.money
    for label, seconds in list(now.cost.seconds.by_label.items())[:_SHOWN_LABELS]:
        amount = "" if money is None else format_usd(money.by_label[label])
        table.add_row(Text(one_line(label)), f"{number(seconds)} s", amount)
    return table


def _problem(problem: Finding, *, has_advice: bool) -> RenderableType:
    command = Text(f"$ {one_line(problem.command)}", "bold")
    below = Text.assemble(f"{one_line(capitalize(problem.advice))}.\n", command) if has_advice else command
    head = Text(f"● {one_line(capitalize(problem.text))}", _STYLES[problem.severity])
    return Group(head, Padding(below, (0, 0, 0, 2)))


def _bar(share: float) -> ProgressBar:
    # Rich's own colours, red and green, would say that much is bad or good.
    done = min(1.0, share)
    return ProgressBar(total=1.0, completed=done, width=_BAR_WIDTH, complete_style="cyan", finished_style="cyan")
