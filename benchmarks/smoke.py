"""3,000 jobs over 200 slots through two worker processes, judged by the simulator's ground truth.

The simulator runs 20 times as fast, so its 60 s window is 3 s here. Its limits are a fifth of the vendor's: 200 slots
and 2,000 requests a window. The workers' own budget is set per minute of real time; 36,000 a minute is a round number
whose 3 s windows, burst included, stay within 2,000.

Run it with `make bench-smoke`.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from wanimate import AnimateJob, Client, ReplaceJob, Result
from wanimate.settings import Settings
from wanimate_devstack import Stack, StackOptions, leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wanimate import JobFailed
    from wanimate.contract import Job

JOBS = 3_000
CAP = 200
SPEED = 20
WINDOW_REQUESTS = 2_000
WORKERS = 2
REPORT = Path("build/reports/bench-smoke.json")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report.

    Args:
        name: What was measured.
        value: What came out.
        wanted: What it must be; None if it is only told.
        is_met: Whether it is.
    """

    name: str
    value: Any
    wanted: str | None = None
    is_met: bool = True


def main() -> int:
    """Run once and return the exit code: 0 if every figure is as it must be."""
    options = StackOptions(
        workers=WORKERS,
        has_flower=False,
        simulator={"cap": str(CAP), "speed": str(SPEED), "rate": str(WINDOW_REQUESTS), "length-share": "0"},
        settings={
            "WANIMATE_MAX_IN_FLIGHT": str(CAP),
            "WANIMATE_REQUESTS_PER_MINUTE": "36000",
            "WANIMATE_POLL_TICK_SECONDS": "0.1",
            "WANIMATE_POLL_FLOOR_SECONDS": "0.1",
        },
    )
    console = Console()
    with Stack(options) as stack, Client(Settings(redis_url=SecretStr(stack.redis.url))) as client:
        console.print(f"{JOBS} jobs, {CAP} slots, {WORKERS} worker processes, speed {SPEED} …")
        began = time.monotonic()
        handles = client.submit_many(_jobs())
        enqueued = time.monotonic()
        outcomes = client.wait_all(handles, timeout=540)
        ended = time.monotonic()
        wait_until_idle(stack)
        summary = httpx.get(f"{stack.simulator_url}/simulator/summary", trust_env=False).json()
        figures = [
            Figure("enqueue", f"{JOBS / (enqueued - began):.0f} jobs/s"),
            Figure("from first enqueue to last result", f"{ended - began:.1f} s"),
            Figure("worker CPU per job", f"{_cpu_seconds(stack) / JOBS * 1000:.1f} ms"),
            *_judge(stack, summary, outcomes),
        ]
    _show(console, figures)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(
        json.dumps({"figures": {each.name: each.value for each in figures}, "simulator": summary}, indent=2)
    )
    console.print(f"written to {REPORT}")
    return 0 if all(figure.is_met for figure in figures) else 1


def wait_until_idle(stack: Stack, timeout_seconds: float = 30.0) -> None:
    """Wait until nothing is held or under way any more; the figures tell if that does not come."""
    deadline = time.monotonic() + timeout_seconds
    while leftovers(stack) and time.monotonic() < deadline:
        time.sleep(0.1)


def _jobs() -> Iterator[Job]:
    for number in range(JOBS):
        kind = ReplaceJob if number % 3 == 0 else AnimateJob
        yield kind(
            image_url=f"https://example.com/{number}.png?marker=job-{number}",
            video_url="https://example.com/motion.mp4",
            resolution="720p" if number % 2 else "480p",
        )


def _judge(stack: Stack, summary: dict[str, Any], outcomes: list[Result | JobFailed]) -> list[Figure]:
    marker_of = {task["task_id"]: task["marker"] for task in _tasks(stack)}
    right = sum(
        isinstance(outcome, Result) and marker_of.get(outcome.task_id) == f"job-{number}"
        for number, outcome in enumerate(outcomes)
    )
    left = leftovers(stack)
    most, window = summary["in_flight_max"], summary["requests_window_max"]
    throttled = sum(summary["count_429"].values())
    return [
        Figure("right results", right, f"= {JOBS}", right == JOBS),
        Figure("in flight at most", most, f"= {CAP}", most == CAP),
        Figure("submissions above the cap", summary["violations_of_cap"], "= 0", summary["violations_of_cap"] == 0),
        Figure("requests in the fullest window", window, f"<= {WINDOW_REQUESTS}", window <= WINDOW_REQUESTS),
        Figure("jobs accepted twice", len(summary["duplicates"]), "= 0", not summary["duplicates"]),
        Figure("429 answers", throttled, "= 0", throttled == 0),
        Figure("keys and messages left", left[:5] or 0, "= 0", not left),
        Figure("slots in use", f"{summary['slot_use']:.3f}"),
        Figure("polls per job", f"{summary['polls_per_task']['mean']:.1f}"),
        Figure("noticed after, mean", f"{summary['first_told_lag_ms']['mean']:.0f} ms"),
        Figure("makespan", f"{summary['makespan_seconds']:.1f} s"),
    ]


def _tasks(stack: Stack) -> Iterator[dict[str, Any]]:
    offset = 0
    while True:
        page = httpx.get(
            f"{stack.simulator_url}/simulator/tasks", params={"offset": offset, "limit": 1000}, trust_env=False
        ).json()
        yield from page["tasks"]
        offset += len(page["tasks"])
        if offset >= page["total"]:
            return


def _cpu_seconds(stack: Stack) -> float:
    used = [psutil.Process(worker.pid).cpu_times() for worker in stack.workers]
    return float(sum(times.user + times.system for times in used))


def _show(console: Console, figures: list[Figure]) -> None:
    table = Table("figure", "measured", "must be", title="bench-smoke", title_justify="left")
    for figure in figures:
        style = "" if figure.wanted is None else "green" if figure.is_met else "bold red"
        table.add_row(figure.name, str(figure.value), figure.wanted or "", style=style)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
