"""`make bench`: Wanimate and what users would write instead, measured on this machine in one run.

The vendor is the simulator, and its ground truth is the judge. README.md beside this file says what each scenario
measures and how fair it is.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rig import goals, tables
from rig.peers import versions
from rig.profile import PROFILES
from rig.scenarios.commands import run_commands
from rig.scenarios.growth import run_growth
from rig.scenarios.peers import run_faults, run_limits, run_peers
from rig.scenarios.plans import run_plans
from rig.scenarios.pools import run_pools
from rig.scenarios.scale import run_scale, run_workers
from rig.scenarios.throughput import run_enqueue, run_throughput

if TYPE_CHECKING:
    from collections.abc import Callable

    from rig.profile import Profile

REPORT = Path("build/reports/bench.json")
#: Raised when figures change their names: an earlier report is then not gone on with.
FORMAT = 2
SCENARIOS: dict[str, Callable[[Profile, Callable[[str], None]], list[dict[str, Any]]]] = {
    "enqueue": run_enqueue,
    "peers": run_peers,
    "commands": run_commands,
    "scale": run_scale,
    "workers": run_workers,
    "throughput": run_throughput,
    "growth": run_growth,
    "faults": run_faults,
    "pools": run_pools,
    "limits": run_limits,
    "plans": run_plans,
}
#: Run only by name: what threads decide is decided (docs/decisions/0010-threads.md), and the vendor's own limits with
#: everyone take half an hour.
BY_NAME = {"pools", "limits", "plans"}


@click.command()
@click.option("--profile", "profile_name", type=click.Choice(list(PROFILES)), default="short", help="How large it is.")
@click.option(
    "--only", "chosen", type=click.Choice(list(SCENARIOS)), multiple=True, help="One scenario; may be given again."
)
@click.option("--report", type=click.Path(path_type=Path), default=REPORT, help="Where the figures go.")
def main(profile_name: str, chosen: tuple[str, ...], report: Path) -> None:
    """Measure, print tables, and write the figures down; a scenario that was left out keeps its earlier figures."""
    # So that whoever stops the run does not leave its processes behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(width=None if sys.stdout.isatty() else 170)
    profile = PROFILES[profile_name]
    whole = _earlier(report, profile.name)
    whole |= {
        "profile": profile.name,
        "machine": machine(),
        "versions": {**versions(), "wanimate": version("wanimate")},
    }
    broken: list[str] = []
    for name in chosen or [name for name in SCENARIOS if name not in BY_NAME]:
        console.rule(name)
        began = time.monotonic()
        try:
            rows = SCENARIOS[name](profile, lambda what: console.print(f"[dim]{time.strftime('%H:%M:%S')} {what}[/]"))
        except Exception:  # noqa: BLE001 - whatever went wrong, the others can still be measured
            console.print_exception()
            broken.append(name)
            continue
        whole["scenarios"][name] = {"seconds": time.monotonic() - began, "rows": rows}
        # After each: what was measured is not lost if the next one fails.
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps(whole, indent=2))
        tables.show(console, name, rows)
    whole["goals"] = [goal.as_json() for goal in goals.judge(whole["scenarios"])]
    report.write_text(json.dumps(whole, indent=2))
    console.rule("goals")
    tables.show_goals(console, goals.judge(whole["scenarios"]))
    console.print(f"written to {report}")
    if broken:
        console.print(f"[red]not measured: {', '.join(broken)}[/]")
        sys.exit(1)


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_at_start": os.getloadavg()[0],
    }


def _earlier(report: Path, profile_name: str) -> dict[str, Any]:
    if report.exists():
        whole: dict[str, Any] = json.loads(report.read_text())
        if (whole.get("format"), whole.get("profile")) == (FORMAT, profile_name):
            return whole
    return {"scenarios": {}}


if __name__ == "__main__":
    main()
