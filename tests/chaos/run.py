"""Everything goes wrong, alone and together, and the vendor's ground truth says what became of the jobs.

`make chaos` runs the long profile for three seeds in both modes; `--short` takes a few minutes.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from deck import deal
from faults import BACKGROUND, Faults, weights_for
from output_faults import OUTPUT_WEIGHTS
from points import STANDSTILLS
from rich.console import Console
from rich.table import Table
from rig import LONG, SHORT, Profile, Rig
from told import Told, judge_outputs
from traffic import Traffic
from verdict import judge
from wanimate_devstack import leftovers

if TYPE_CHECKING:
    from verdict import Verdict

MODES = ("polling", "callbacks")
REPORT = Path("build/reports/chaos.json")
#: How long leases, late messages and back-offs may take to be gone after the last result, in seconds.
_SETTLING_SECONDS = 150.0


def run_chaos(
    profile: Profile, seed: int, mode: str, console: Console, old_source: Path | None = None
) -> tuple[Verdict, dict[str, Any]]:
    """Run once and return the verdict and the report.

    Args:
        profile: How large the run is.
        seed: Of faults and of the simulator's durations.
        mode: `polling` or `callbacks`.
        console: Where to tell what happens.
        old_source: A checkout of an earlier version, for every other worker.
    """
    chance = random.Random(seed)
    # A failing master instead of a failing server.
    options = {"has_callbacks": mode == "callbacks", "has_sentinel": seed % 3 == 0}
    with Rig(profile, seed, **options, old_source=old_source) as rig, rig.client() as client:
        console.print(f"seed {seed}, {mode}: {profile.cap} slots, {profile.workers} workers, {profile.strikes} strikes")
        rig.set_vendor_faults(**BACKGROUND)
        traffic = Traffic(rig, client)
        faults = Faults(rig, chance, traffic)
        began = time.monotonic()
        traffic.start()
        first = [f"freeze_worker_at:{step}" for step in _standstills(seed, profile.standstills)]
        outputs = deal({} if old_source else OUTPUT_WEIGHTS, profile.strikes, random.Random(-seed))
        for kinds in deal(weights_for(**options), profile.strikes, chance, first):
            faults.strike(kinds, next(outputs) if old_source is None else set())
        rig.set_vendor_faults()
        for server in (rig.store, *rig.receivers):
            server.has_background = False
        traffic.stop()
        rig.wait_for_callbacks(_SETTLING_SECONDS)
        deadline = time.monotonic() + _SETTLING_SECONDS
        # Beat goes on: its tick is a message for a moment, and no leak. What stays is a leak.
        while (left := leftovers(rig.stack)) and time.monotonic() < deadline:
            time.sleep(0.2)
        told = judge_outputs(rig, traffic, faults.retried) if old_source is None else Told()
        verdict, endings = judge(rig, traffic, left, told, faults.retried)
        if not verdict.is_clean:
            console.print(f"left behind: {left[:10]}; {told.why[:10]}; logs in {REPORT.parent}")
            rig.keep_logs(REPORT.parent / f"chaos-{mode}-{seed}")
        report = {
            **asdict(verdict),
            "faults": dict(sorted(faults.struck.items())),
            "recovery_seconds": {kinds: max(times) for kinds, times in sorted(faults.recovery_seconds.items())},
            "seed": seed,
            "mode": mode,
            "jobs": traffic.enqueued,
            "enqueued_again": traffic.enqueued_again,
            "endings": endings,
            "outputs": told.figures,
            "seconds": round(time.monotonic() - began, 1),
            "vendor": rig.summary(),
        }
        _show(console, verdict, report)
        return verdict, report


def _standstills(seed: int, count: int) -> list[str]:
    """Return the steps at which a worker stands still in any case: runs with seeds in a row take turns."""
    return [STANDSTILLS[(seed * count + number) % len(STANDSTILLS)] for number in range(count)]


def _show(console: Console, verdict: Verdict, report: dict[str, Any]) -> None:
    title = f"seed {report['seed']}, {report['mode']}: {report['jobs']} jobs in {report['seconds']} s"
    table = Table("must be zero", "", title=title)
    for name, count in asdict(verdict).items():
        table.add_row(name.replace("_", " "), str(count), style="bold red" if count else "green")
    console.print(table)
    console.print("ended:", ", ".join(f"{name} {count}" for name, count in report["endings"].items()))
    console.print("told:", ", ".join(f"{name} {count}" for name, count in report["outputs"].items()))
    if report["enqueued_again"]:
        console.print(f"enqueued again after a failover: {report['enqueued_again']}")
    faults = Table("fault", "times", "well again after at most, s")
    for kind, count in report["faults"].items():
        faults.add_row(kind, str(count), str(report["recovery_seconds"].get(kind, "")))
    console.print(faults)


@click.command()
@click.option("--seed", "seeds", type=int, multiple=True, default=(1, 2, 3), help="May be given several times.")
@click.option("--mode", "modes", type=click.Choice(MODES), multiple=True, default=MODES, help="May be given twice.")
@click.option("--short", is_flag=True, help="Few jobs and faults.")
@click.option(
    "--old-source",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A checkout of an earlier version, whose workers run beside the present ones.",
)
def main(seeds: tuple[int, ...], modes: tuple[str, ...], *, short: bool, old_source: Path | None) -> None:
    """Let everything go wrong and print what became of the jobs."""
    console = Console()
    profile = SHORT if short else LONG
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    reports, all_clean = [], True
    for mode in modes:
        for seed in seeds:
            verdict, report = run_chaos(profile, seed, mode, console, old_source)
            all_clean = all_clean and verdict.is_clean
            reports.append(report)
            REPORT.write_text(json.dumps(reports, indent=2))
    console.print(f"written to {REPORT}")
    if not all_clean:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
