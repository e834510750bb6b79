"""Tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from .goals import Goal

#: For each scenario: its title, and for each column its head, the figure, and how it is written.
_EVERYONE = (
    ("contender", "contender", ""),
    ("slot use", "slot_use", ".3f"),
    ("429 a job", "throttled_per_job", ".2f"),
    ("makespan/ideal", "makespan_ratio", ".3f"),
    ("lag mean", "lag_mean_share", ".3f"),
    ("lag median", "lag_median_share", ".3f"),
    ("CPU ms", "cpu_ms_per_job", ".1f"),
    ("Redis cmds", "redis_commands_per_job", ".0f"),
    ("trips", "redis_calls_per_job", ".1f"),
    ("bytes", "redis_peak_bytes_per_job", ",.0f"),
    ("never sent", "never_sent", ""),
    ("stranded", "stranded", ""),
    ("paid twice", "paid_twice", ""),
    ("machine", "machine_load", ".0%"),
)
_COLUMNS: dict[str, tuple[str, tuple[tuple[str, str, str], ...]]] = {
    "peers": (
        "the same jobs for everyone; lags in parts of the mean duration; commands, trips, peak bytes of Redis a job",
        _EVERYONE,
    ),
    "limits": ("the same at the vendor's own limits, or a part of them, for everyone who polls", _EVERYONE),
    "commands": (
        "what a job makes Redis do",
        (
            ("mode", "contender", ""),
            ("sent", "sent_per_job", ".1f"),
            ("by scripts", "in_scripts_per_job", ".1f"),
            ("most of what is sent", "most_sent", ""),
            ("most of what scripts do", "most_in_scripts", ""),
        ),
    ),
    "faults": (
        "what became of the jobs when something went wrong in the middle",
        (
            ("fault", "fault", ""),
            ("contender", "contender", ""),
            ("jobs", "jobs", ""),
            ("finished", "finished", ""),
            ("never sent", "never_sent", ""),
            ("stranded", "stranded", ""),
            ("of these unknown", "unknown", ""),
            ("paid twice", "paid_twice", ""),
            ("above cap", "above_cap", ""),
            ("makespan/ideal", "makespan_ratio", ".2f"),
        ),
    ),
    "scale": (
        "the vendor's limits, or a part of them",
        (
            ("mode", "contender", ""),
            ("slot use", "slot_use", ".3f"),
            ("makespan/ideal", "makespan_ratio", ".3f"),
            ("lag mean s", "lag_mean_seconds", ".3f"),
            ("lag median s", "lag_median_seconds", ".3f"),
            ("bound s", "lag_mean_bound_seconds", ".3f"),
            ("429", "count_429", ""),
            ("polls/job", "polls_per_job", ".1f"),
            ("CPU ms/job", "cpu_ms_per_job", ".1f"),
            ("machine", "machine_load", ".0%"),
        ),
    ),
    "plans": (
        "the vendor's plans, with a backlog; lateness in parts of the mean duration",
        (
            ("tasks/requests", "plan", ""),
            ("mode", "mode", ""),
            ("jobs", "jobs", ""),
            ("slots", "slot_use", ".3f"),
            ("bound", "slot_use_bound", ".3f"),
            ("late mean", "lag_mean_share", ".3f"),
            ("bound", "lag_mean_bound_share", ".3f"),
            ("p50", "lag_median_share", ".3f"),
            ("p99", "lag_p99_share", ".3f"),
            ("polls/job", "polls_per_job", ".2f"),
            ("bound", "polls_bound", ".2f"),
            ("429", "count_429", ""),
            ("fullest window", "requests_window_max", ""),
            ("limit", "rate", ""),
            ("machine", "machine_load", ".0%"),
        ),
    ),
    "workers": (
        "more worker processes on one ledger",
        (
            ("processes", "workers", ""),
            ("slot use", "slot_use", ".3f"),
            ("in flight at most", "in_flight_max", ""),
            ("above cap", "above_cap", ""),
            ("fullest window", "requests_window_max", ""),
            ("limit", "rate", ""),
            ("429", "count_429", ""),
            ("makespan/ideal", "makespan_ratio", ".3f"),
            ("CPU ms/job", "cpu_ms_per_job", ".1f"),
            ("machine", "machine_load", ".0%"),
        ),
    ),
    "pools": (
        "what a worker process is made of",
        (
            ("workers of", "choice", ""),
            ("slot use", "slot_use", ".3f"),
            ("makespan/ideal", "makespan_ratio", ".3f"),
            ("lag median s", "lag_median_seconds", ".3f"),
            ("CPU ms/job", "cpu_ms_per_job", ".1f"),
            ("MB/worker", "worker_mb", ".0f"),
            ("machine", "machine_load", ".0%"),
        ),
    ),
    "throughput": (
        "one worker process, a vendor without limits",
        (
            ("mode", "contender", ""),
            ("jobs/s", "jobs_per_second", ".0f"),
            ("worker cores", "worker_cores", ".2f"),
            ("worker CPU ms/job", "worker_cpu_ms_per_job", ".1f"),
            ("Redis cmds/job", "redis_commands_per_job", ".0f"),
            ("round trips/job", "redis_calls_per_job", ".1f"),
            ("bytes/job", "redis_bytes_per_job", ",.0f"),
            ("polls/job", "polls_per_job", ".1f"),
            ("machine", "machine_load", ".0%"),
        ),
    ),
    "enqueue": (
        "one producer process",
        (
            ("way", "way", ""),
            ("jobs", "jobs", ","),
            ("jobs/s", "jobs_per_second", ",.0f"),
            ("CPU ms/job", "cpu_ms_per_job", ".3f"),
            ("jobs per CPU s", "jobs_per_cpu_second", ",.0f"),
        ),
    ),
    "growth": (
        "a growing backlog",
        (
            ("waiting", "waiting", ","),
            ("enqueued/s", "enqueue_per_second", ",.0f"),
            ("recorded/s", "record_per_second", ",.0f"),
            ("call ms", "call_median_ms", ".1f"),
            ("urgent job to vendor ms", "submit_median_ms", ".0f"),
            ("p95", "submit_p95_ms", ".0f"),
            ("lag median ms", "lag_median_ms", ".0f"),
            ("jobs/s", "slot_turns_per_second", ".1f"),
            ("worker MB", "worker_rss_mb", ".0f"),
            ("bytes/job", "bytes_per_waiting_job", ",.0f"),
        ),
    ),
}


def show(console: Console, scenario: str, rows: Iterable[dict[str, Any]]) -> None:
    """Print the figures of one scenario."""
    title, columns = _COLUMNS[scenario]
    table = Table(title=f"{scenario}: {title}", title_justify="left")
    for head, key, _ in columns:
        is_name = key in {"contender", "fault", "way", "choice"}
        table.add_column(head, justify="left" if is_name else "right", no_wrap=is_name)
    for row in rows:
        own = str(row.get("contender", "")).startswith("Wanimate")
        table.add_row(*(_written(row.get(key), spec) for _, key, spec in columns), style="bold" if own else "")
    console.print(table)


def show_goals(console: Console, goals: Iterable[Goal]) -> None:
    """Print the goals."""
    table = Table("figure", "goal", "measured", "", "bounded by", title="goals", title_justify="left")
    for goal in goals:
        verdict = {True: "[green]met[/]", False: "[bold red]not met[/]", None: ""}[goal.is_met]
        table.add_row(goal.figure, goal.goal, goal.measured, verdict, goal.bound)
    console.print(table)


def _written(value: Any, spec: str) -> str:
    return "" if value is None else format(value, spec)
