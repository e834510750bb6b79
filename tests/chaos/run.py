"""Everything goes wrong at once, and the vendor's ground truth says what became of the jobs.

`make chaos` runs the long profile for three seeds; `--short` is a tenth of the time.
"""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from faults import BACKGROUND, Faults
from rich.console import Console
from rich.table import Table
from rig import LONG, SHORT, Profile, Rig
from verdict import judge
from wanimate import WaitTimeout, WanimateError
from wanimate_worker.local.stack import leftovers

if TYPE_CHECKING:
    from verdict import Outcome, Verdict
    from wanimate import Client, JobHandle

MODES = ("polling", "callbacks")
REPORT = Path("build/reports/chaos.json")


def run_chaos(profile: Profile, seed: int, mode: str, console: Console) -> dict[str, Any]:
    """Run once and return the report.

    Args:
        profile: How large the run is.
        seed: Of faults and of the simulator's durations.
        mode: `polling` or `callbacks`.
        console: Where to tell what happens.
    """
    with Rig(profile, seed, has_callbacks=mode == "callbacks") as rig, rig.client() as client:
        console.print(f"seed {seed}, {mode}: {profile.jobs} jobs, {profile.cap} slots, {profile.workers} workers")
        rig.set_vendor_faults(**BACKGROUND)
        handles = client.submit_many(rig.jobs())
        faults = Faults(rig, random.Random(seed), profile.freeze_seconds)
        began = time.monotonic()
        outcomes: list[Outcome] = []
        waiter = threading.Thread(target=_collect, args=(client, handles, profile.longest_seconds, outcomes))
        waiter.start()
        for _ in range(profile.strikes):
            if not waiter.is_alive():
                break
            faults.strike()
        rig.set_vendor_faults()
        rig.replace_dead_workers()
        healed = time.monotonic()
        waiter.join()
        took = time.monotonic() - began
        deadline = time.monotonic() + 90
        while leftovers(rig.stack) and time.monotonic() < deadline:
            time.sleep(0.2)
        verdict = judge(rig, outcomes)
        if verdict.leaked:
            console.print(f"left behind: {leftovers(rig.stack)[:10]}")
        report = {
            **asdict(verdict),
            "faults": dict(faults.struck),
            "recovery_seconds": round(time.monotonic() - healed, 1),
            "seed": seed,
            "mode": mode,
            "seconds": round(took, 1),
            "vendor": rig.summary(),
        }
        _show(console, verdict, report)
        return report


def _collect(client: Client, handles: list[JobHandle], timeout: float, outcomes: list[Outcome]) -> None:
    """Wait for all jobs, whatever happens to Redis meanwhile."""
    ended: dict[str, Outcome] = {}
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and len(ended) < len(handles):
        pending = [handle for handle in handles if handle.id not in ended]
        try:
            for handle, outcome in client.as_completed(pending, timeout=deadline - time.monotonic()):
                ended[handle.id] = outcome
        except WaitTimeout:
            break
        except WanimateError:
            time.sleep(0.5)
    outcomes += [ended.get(handle.id) for handle in handles]


def _show(console: Console, verdict: Verdict, report: dict[str, Any]) -> None:
    table = Table("must be zero", "", title=f"seed {report['seed']}, {report['mode']}, {report['seconds']} s")
    for name in ("lost", "mixed_up", "paid_twice", "over_limit", "leaked", "slandered"):
        count = getattr(verdict, name)
        table.add_row(name.replace("_", " "), str(count), style="bold red" if count else "green")
    console.print(table)
    faults = ", ".join(f"{kind} {count}" for kind, count in sorted(report["faults"].items()))
    console.print(f"faults: {faults}")
    console.print(
        f"unknown: {verdict.unknown_unrecovered}; recovered {report['recovery_seconds']} s after the last fault"
    )


@click.command()
@click.option("--seed", "seeds", type=int, multiple=True, default=(1, 2, 3), help="May be given several times.")
@click.option("--mode", "modes", type=click.Choice(MODES), multiple=True, default=MODES, help="May be given twice.")
@click.option("--short", is_flag=True, help="400 jobs instead of 2,000.")
def main(seeds: tuple[int, ...], modes: tuple[str, ...], *, short: bool) -> None:
    """Let everything go wrong and print what became of the jobs."""
    console = Console()
    profile = SHORT if short else LONG
    reports = [run_chaos(profile, seed, mode, console) for mode in modes for seed in seeds]
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(reports, indent=2))
    console.print(f"written to {REPORT}")
    must_be_zero = ("lost", "mixed_up", "paid_twice", "over_limit", "leaked", "slandered")
    if any(report[name] for report in reports for name in must_be_zero):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
