"""A snapshot as `wanimate-worker top` shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from wanimate.contract.cost import format_usd
from wanimate.text import counted, one_line

from .finding import Severity
from .formatting import capitalize, number, percent, span
from .rules import is_balance_low, problems_of
from .verdict import balance_of, is_submitting, needs_operator, state_of, why_waiting

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from .finding import Finding
    from .snapshot import Snapshot

#: Rows of the breakdown by label that are shown.
_SHOWN_LABELS: Final = 5
#: Beside it most figures fit into 80 columns.
_BAR_WIDTH: Final = 16
_STYLES: Final = {Severity.FAIL: "red", Severity.WARN: "yellow", Severity.INFO: "blue"}


def panel_of(now: Snapshot, console: Console | None = None) -> RenderableType:
    """Return everything about an account.

    Args:
        now: The account.
        console: Where it has to fit; then the least important parts are left out, and the last line says which.
    """
    problems = problems_of(now)
    panel = _panel(now, problems, 0)
    for level in range(1, len(problems) + 4):
        if console is None or len(console.render_lines(panel, pad=False)) <= console.height:
            break
        panel = _panel(now, problems, level)
    return panel


def _panel(now: Snapshot, problems: list[Finding], level: int) -> Group:
    """Return a panel without labels (from level 1 on), advice (2), bands (3), and one problem less with each level."""
    has_labels, has_advice, has_bands = level < 1, level < 2, level < 3  # noqa: PLR2004 - see above
    hidden = max(0, level - 3)
    shown = problems[: len(problems) - hidden]
    why, labels = why_waiting(now), now.labels[:_SHOWN_LABELS]
    # Why jobs wait is never left out, and what needs an operator comes before the figures.
    parts: list[RenderableType] = [_head(now)]
    if why:
        parts.append(Text(f"{number(now.waiting)} waiting. {why}"))
    parts += [*(_problem(each, has_advice=has_advice) for each in shown), _figures(now)]
    if why and has_bands:
        parts += [Text(), _waiting(now)]
    if labels and has_labels:
        parts += [Text(), Text("billed today by label", "bold"), _labels(now)]
    left_out = [
        "waiting jobs by priority" if why and not has_bands else "",
        "advice" if shown and not has_advice else "",
        counted(len(labels), "label") if labels and not has_labels else "",
    ]
    if hidden:
        parts.append(Text(f"… and {counted(hidden, 'more problem')}: wanimate-worker doctor", "dim"))
    elif any(left_out):
        parts.append(Text(f"… and {', '.join(filter(None, left_out))}: wanimate-worker top --once", "dim"))
    return Group(*parts)


def _head(now: Snapshot) -> RenderableType:
    style = "bold red" if needs_operator(now) else "bold green" if is_submitting(now) else "bold yellow"
    head = Text.assemble(("Wanimate", "bold"), f"  account {now.account}  ", (state_of(now), style))
    return head.append(f"  {now.at:%H:%M:%S} UTC", "dim")


def _problem(problem: Finding, *, has_advice: bool) -> RenderableType:
    command = Text(f"$ {one_line(problem.command)}", "bold")
    below = Text.assemble(f"{one_line(capitalize(problem.advice))}.\n", command) if has_advice else command
    head = Text(f"● {one_line(capitalize(problem.text))}", _STYLES[problem.severity])
    return Group(head, Padding(below, (0, 0, 0, 2)))


def _figures(now: Snapshot) -> Table:
    table = Table.grid(padding=(0, 2))
    slots, budget, recent = now.slots, now.budget, now.recent
    lowered = f" (cap {number(slots.cap)}, lowered)" if slots.effective_cap < slots.cap else ""
    table.add_row("slots", _bar(slots.used_ratio), f"{number(slots.used)} of {number(slots.effective_cap)}{lowered}")
    table.add_row(
        "requests",
        _bar(budget.used_ratio),
        f"{percent(budget.used_ratio)} of {number(budget.per_minute_limit)} a minute: "
        f"{number(budget.submits_per_minute)} submissions, {number(budget.polls_per_minute)} polls",
    )
    _add_money(table, now)
    if recent is not None:
        counters, lag, over = recent.counters, recent.counters.lag, span(recent.over_seconds)
        ended = ", ".join(f"{number(count)} {kind}" for kind, count in counters.ended.items())
        table.add_row("ended", "", f"{ended} in {over}; {number(recent.ended_per_minute)} a minute")
        if counters.retries:
            table.add_row("retries", "", f"{number(counters.retries)} after transient failures, in {over}")
        if lag.count:
            median, p95 = span(lag.quantile_seconds(0.5)), span(lag.quantile_seconds(0.95))
            table.add_row("noticed after", "", f"median {median}, 95 of 100 within {p95}")
        table.add_row("429 answers", "", f"{number(counters.throttled)} in {over}")
    _add_ends(table, now)
    beat = "none in the last day" if now.beat_age_seconds is None else f"{span(now.beat_age_seconds)} ago"
    queued = number(sum(now.queues.values()))
    table.add_row("last poll", "", f"{beat}; messages: {queued} queued, {number(now.held_messages)} with workers")
    if not now.waiting:
        table.add_row("waiting", "", "no jobs")
    return table


def _add_ends(table: Table, now: Snapshot) -> None:
    copies, webhooks, left = now.copies, now.webhooks, now.expiry_seconds
    if left is not None:
        expiry = f"expires in {span(left)}" if left > 0 else "has expired"
        table.add_row("copies", "", f"{counted(copies.jobs, 'video')} to copy; the first {expiry} at the vendor")
    if webhooks.undelivered or webhooks.given_up:
        age = f", the oldest for {span(now.webhook_age_seconds)}" if webhooks.undelivered else ""
        given_up = f"; {number(webhooks.given_up)} given up" if webhooks.given_up else ""
        table.add_row("webhooks", "", f"{number(webhooks.undelivered)} undelivered{age}{given_up}")


def _add_money(table: Table, now: Snapshot) -> None:
    seconds, money = now.billed, now.money
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
    if now.balance.micro_usd is not None or now.has_balance_threshold:
        table.add_row("balance", "", Text(balance_of(now), "yellow" if is_balance_low(now) else ""))


def _waiting(now: Snapshot) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("priority", header_style="dim")
    for name in ("jobs", "next job has waited", "ETA of all"):
        table.add_column(name, justify="right", header_style="dim")
    for band in now.bands:
        figures = (number(band.waiting), span(band.oldest_seconds), span(band.eta_seconds))
        table.add_row(band.priorities, *figures, style="" if band.waiting else "dim")
    return table


def _labels(now: Snapshot) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for justify in ("left", "right", "right"):
        table.add_column(justify=justify)
    for row in now.labels[:_SHOWN_LABELS]:
        amount = "" if row.micro_usd is None else format_usd(row.micro_usd)
        table.add_row(Text(one_line(row.text)), f"{number(row.seconds)} s", amount)
    return table


def _bar(share: float) -> ProgressBar:
    # Rich's own colours, red and green, would say that much is bad or good.
    done = min(1.0, share)
    return ProgressBar(total=1.0, completed=done, width=_BAR_WIDTH, complete_style="cyan", finished_style="cyan")
