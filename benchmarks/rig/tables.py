"""Tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from .goals import Goal

#: Each figure that is shown: its head, and how it is written.
_FIGURES = {
    "above_cap": ("above cap", ""),
    "bytes_per_waiting_job": ("bytes/job", ",.0f"),
    "call_median_ms": ("call ms", ".1f"),
    "contender": ("contender", ""),
    "count_429": ("429", ""),
    "cpu_ms_per_job": ("CPU ms/job", ".2f"),
    "cpu_share": ("CPU of a core", ".1%"),
    "enqueue_per_second": ("enqueued/s", ",.0f"),
    "fault": ("fault", ""),
    "finished": ("finished", ""),
    "handover_median_ms": ("slot free ms", ".0f"),
    "in_flight_max": ("in flight at most", ""),
    "jobs": ("jobs", ","),
    "jobs_per_second": ("jobs/s", ".0f"),
    "lag_bound": ("bound", ".3f"),
    "lag_mean": ("late mean", ".3f"),
    "lag_median_ms": ("late ms, median", ".0f"),
    "lag_p50": ("p50", ".3f"),
    "lag_p99": ("p99", ".3f"),
    "largest_mb": ("largest MB", ".0f"),
    "machine_load": ("machine", ".0%"),
    "makespan_ratio": ("makespan/ideal", ".3f"),
    "memory_mb": ("MB", ".0f"),
    "mode": ("mode", ""),
    "never_sent": ("never sent", ""),
    "paid_twice": ("paid twice", ""),
    "per_cpu_second": ("jobs/CPU s", ",.0f"),
    "per_second": ("jobs/s", ",.0f"),
    "plan": ("tasks/requests", ""),
    "polls_bound": ("bound", ".2f"),
    "polls_per_job": ("polls/job", ".2f"),
    "process": ("process", ""),
    "rate": ("limit", ""),
    "record_per_second": ("recorded/s", ",.0f"),
    "redis_calls_per_job": ("trips", ".1f"),
    "redis_commands_per_job": ("Redis cmds", ".0f"),
    "redis_peak_bytes_per_job": ("bytes", ",.0f"),
    "requests_window_max": ("fullest window", ""),
    "slot_use": ("slots used", ".3f"),
    "slot_use_bound": ("bound", ".3f"),
    "status_cpu_ms": ("CPU ms", ".0f"),
    "status_ms": ("status ms", ".0f"),
    "stranded": ("stranded", ""),
    "throttled_per_job": ("429 a job", ".2f"),
    "turns_per_second": ("jobs/s", ".1f"),
    "unknown": ("of these unknown", ""),
    "urgent_median_ms": ("urgent to vendor ms", ".0f"),
    "urgent_p95_ms": ("p95", ".0f"),
    "waiting": ("waiting", ","),
    "way": ("way", ""),
    "workers": ("processes", ""),
}
_COSTS = "cpu_ms_per_job redis_commands_per_job redis_calls_per_job redis_peak_bytes_per_job memory_mb machine_load"
_EVERYONE = (
    "contender slot_use slot_use_bound throttled_per_job makespan_ratio lag_mean lag_bound lag_p50 lag_p99 "
    f"handover_median_ms {_COSTS} never_sent stranded paid_twice"
)
#: For each scenario: its title, and the figures of a row.
_SCENARIOS = {
    "peers": ("the same jobs for everyone; late in mean durations; costs a job", _EVERYONE),
    "limits": ("the work of the vendor's own limits, at speed 10", _EVERYONE),
    "scale": ("the vendor's own limits, in a short run a quarter of them", f"{_EVERYONE} polls_per_job lag_median_ms"),
    "faults": (
        "what became of the jobs when something went wrong in the middle",
        "fault contender jobs finished never_sent stranded unknown paid_twice above_cap makespan_ratio",
    ),
    "enqueue": ("processes that have just begun; the median of three", "way jobs per_second per_cpu_second"),
    "throughput": ("one worker process, no limits", f"contender jobs_per_second polls_per_job {_COSTS}"),
    "idle": ("a stack that has nothing to do", "process cpu_share memory_mb status_ms status_cpu_ms"),
    "growth": (
        "a growing backlog",
        (
            "waiting enqueue_per_second record_per_second call_median_ms urgent_median_ms urgent_p95_ms lag_median_ms "
            "turns_per_second largest_mb bytes_per_waiting_job"
        ),
    ),
    "workers": (
        "more worker processes on one ledger",
        (
            "workers slot_use in_flight_max above_cap requests_window_max rate count_429 makespan_ratio cpu_ms_per_job "
            "machine_load"
        ),
    ),
    "plans": (
        "the vendor's plans, with a backlog; late in mean durations",
        (
            "plan mode jobs slot_use slot_use_bound lag_mean lag_bound lag_p50 lag_p99 polls_per_job polls_bound "
            "count_429 requests_window_max rate machine_load"
        ),
    ),
    "smoke": ("3,000 jobs, polling", _EVERYONE),
}


def show(console: Console, scenario: str, rows: Iterable[dict[str, Any]]) -> None:
    """Print the figures of one scenario."""
    title, names = _SCENARIOS[scenario]
    columns = {name: _FIGURES[name] for name in names.split()}
    table = Table(title=f"{scenario}: {title}", title_justify="left")
    for name, (head, spec) in columns.items():
        is_text = not spec and name in {"contender", "fault", "way", "process", "mode"}
        table.add_column(head, justify="left" if is_text else "right", no_wrap=is_text)
    for row in rows:
        style = "bold" if str(row.get("contender", "")).startswith("Wanimate") else ""
        cells = [(row.get(name), spec) for name, (_, spec) in columns.items()]
        table.add_row(*("" if value is None else format(value, spec) for value, spec in cells), style=style)
    console.print(table)


def show_goals(console: Console, goals: Iterable[Goal]) -> None:
    """Print the goals."""
    table = Table("figure", "goal", "measured", "", "note", title="goals", title_justify="left")
    for goal in goals:
        verdict = {True: "[green]met[/]", False: "[bold red]not met[/]", None: ""}[goal.is_met]
        table.add_row(goal.figure, goal.goal, goal.measured, verdict, goal.note)
    console.print(table)


def markdown(heads: Iterable[str], rows: Iterable[Iterable[Any]], *, is_turned: bool = False) -> str:
    """Return a table with its columns aligned.

    Args:
        heads: The heads of the columns.
        rows: The cells of each row.
        is_turned: Whether heads become the first column, and rows become columns.
    """
    lines = [[*heads], *([_cell(each) for each in row] for row in rows)]
    if is_turned:
        lines = [list(line) for line in zip(*lines, strict=True)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines)


def number(value: float) -> str:
    """Return a number with as many digits as say something."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"


def _cell(value: Any) -> str:
    if isinstance(value, (int, float)):
        return number(value)
    return "" if value is None else str(value)
