"""Runs forty jobs through a local stack with the simulator as the vendor."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import httpx
from pydantic import SecretStr
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from wanimate import AnimateJob, Client, JobFailed, JobState, ReplaceJob, Result
from wanimate.settings import Settings

from .stack import Stack, StackOptions

if TYPE_CHECKING:
    from rich.console import Console
    from wanimate import JobHandle
    from wanimate.contract import Job

JOBS: Final = 40
CAP: Final = 10
SPEED: Final = 8
#: The vendor's safety rules refuse this job, to show a failure.
REFUSED: Final = 17


def run_demo(console: Console) -> int:
    """Run the demo and return its exit code: 0 if every job ended as expected.

    Args:
        console: For the output.
    """
    options = StackOptions(
        simulator={"cap": str(CAP), "speed": str(SPEED)},
        settings={
            "WANIMATE_MAX_IN_FLIGHT": str(CAP),
            "WANIMATE_POLL_TICK_SECONDS": "0.25",
            "WANIMATE_POLL_FLOOR_SECONDS": "0.25",
        },
        has_ops=True,
        has_store=True,
    )
    console.print(f"[bold]Wanimate demo[/]: {JOBS} jobs, {CAP} slots, simulated vendor at {SPEED}x speed")
    with console.status("starting Redis, simulator, worker, beat, Flower and ops …"):
        stack = Stack(options)
        stack.start()
    try:
        console.print(f"  Redis      {stack.redis.url}")
        console.print(f"  simulator  {stack.simulator_url}")
        console.print(f"  Flower     {stack.flower_url}  [dim](open it while this runs)[/]")
        console.print(f"  limits     {stack.ops_url}  [dim](slots, queue, budget and cost)[/]")
        console.print(f"  videos     {stack.videos_folder}  [dim](copied from the vendor)[/]\n")
        with Client(Settings(redis_url=SecretStr(stack.redis.url))) as client:
            outcomes = _run_jobs(client, console, stack)
            events = [event.job_id for event in client.events(timeout=0)]
        is_right = _show_summary(console, stack, outcomes, events)
    finally:
        with console.status("stopping …"):
            stack.stop()
    console.print("[green]stopped; all data removed[/]" if is_right else "[red]the demo failed[/]")
    return 0 if is_right else 1


def demo_jobs() -> list[Job]:
    """Return the jobs of the demo."""
    jobs: list[Job] = []
    for number in range(1, JOBS + 1):
        kind = ReplaceJob if number % 4 == 0 else AnimateJob
        jobs.append(
            kind(
                image_url=f"https://example.com/character-{number}.png?marker=demo-{number}",
                video_url="https://example.com/motion.mp4",
                prompt="[violation]" if number == REFUSED else "keep the face stable",
                resolution="720p" if number % 3 == 0 else "480p",
                seed=number,
                labels={"demo": str(number)},
                video_seconds=5.0 + number % 20,
            )
        )
    return jobs


def _run_jobs(client: Client, console: Console, stack: Stack) -> list[tuple[int, Result | JobFailed]]:
    handles = client.submit_many(demo_jobs())
    numbers = {handle.id: number for number, handle in enumerate(handles, start=1)}
    ended: list[tuple[int, Result | JobFailed]] = []
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[states]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=not console.is_terminal) as progress:
        bar = progress.add_task("jobs", total=JOBS, states="")
        waiting = list(handles)
        while waiting:
            for handle in waiting.copy():
                state = handle.status().state
                if state.is_final:
                    waiting.remove(handle)
                    outcome = _outcome(handle)
                    ended.append((numbers[handle.id], outcome))
                    line = _line(numbers[handle.id], outcome, f"{stack.videos_folder.parent.as_uri()}/")
                    progress.console.print(line, soft_wrap=True, highlight=False)
            states = Counter(handle.status().state for handle in waiting)
            progress.update(bar, completed=len(ended), states=_counts(states))
            time.sleep(0.1)
    return ended


def _outcome(handle: JobHandle) -> Result | JobFailed:
    try:
        return handle.wait(timeout=30)
    except JobFailed as failure:
        return failure


def _line(number: int, outcome: Result | JobFailed, base: str) -> str:
    if isinstance(outcome, Result):
        seconds = (outcome.cost_time_ms or 0) / 1000
        return f"  [green]✓[/] job {number:>2}  {outcome.urls[0].removeprefix(base)}  [dim]{seconds:.0f} s[/]"
    return f"  [red]✗[/] job {number:>2}  {type(outcome).__name__}: {outcome}  [dim](expected)[/]"


def _counts(states: Counter[JobState]) -> str:
    waiting = states[JobState.QUEUED] + states[JobState.WAITING]
    running = states[JobState.SUBMITTING] + states[JobState.RUNNING] + states[JobState.KEEPING]
    return f"[yellow]{waiting} waiting[/]  [cyan]{running} running[/]"


def _show_summary(
    console: Console, stack: Stack, outcomes: list[tuple[int, Result | JobFailed]], events: list[str]
) -> bool:
    summary: dict[str, Any] = httpx.get(f"{stack.simulator_url}/simulator/summary", trust_env=False).json()
    results = [outcome for _, outcome in outcomes if isinstance(outcome, Result)]
    succeeded, kept = len(results), [file for result in results for file in result.files]
    throttled = sum(summary["count_429"].values())
    table = Table(title="Summary", title_justify="left", show_header=False, box=None, pad_edge=True)
    for name, value in (
        ("jobs", f"{succeeded} succeeded, {len(outcomes) - succeeded} refused by the vendor's safety rules"),
        ("billed tasks", f"{summary['accepted']}, {len(summary['duplicates']) or 'none'} twice"),
        ("makespan", f"{summary['makespan_seconds']:.1f} s"),
        ("max in flight", f"{summary['in_flight_max']} of {summary['cap']}"),
        ("slots in use", f"{summary['slot_use']:.0%} of the time"),
        ("requests", f"{summary['requests_total']}"),
        ("429 responses", f"{throttled}"),
        ("polls per job", f"{summary['polls_per_task']['mean']:.1f}"),
        ("delay until a result is noticed", f"{summary['first_told_lag_ms']['mean']:.0f} ms on average"),
        ("videos kept", f"{len(kept)}, {sum(file.size_bytes for file in kept) / 1e6:.1f} MB, SHA-256 verified"),
        ("events", f"{len(events)}, one per job"),
    ):
        table.add_row(name, f"[bold]{value}[/]")
    console.print()
    console.print(table)
    console.print()
    return (
        len(outcomes) == summary["accepted"] == JOBS
        and succeeded == JOBS - 1
        and not summary["duplicates"]
        and summary["in_flight_max"] <= CAP
        and throttled == 0
        and len(kept) == succeeded
        and len(events) == len(set(events)) == JOBS
    )
