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
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rig import goals, tables
from rig.load import PROFILES
from rig.peers import versions
from rig.scenarios import SCENARIOS, chosen

#: Raised when figures change their names: an earlier report is then not gone on with.
FORMAT = 3


@click.command()
@click.option("--profile", "profile_name", type=click.Choice(list(PROFILES)), default="short", help="How large it is.")
@click.option(
    "--only", "names", type=click.Choice(list(SCENARIOS)), multiple=True, help="One scenario; may be given again."
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    default=Path("build/reports/bench.json"),
    help="Where the figures go; a scenario that is left out keeps its earlier ones.",
)
def main(profile_name: str, names: tuple[str, ...], report: Path) -> None:
    """Measure, print tables and goals, and write the figures down.

    The exit code is 1 if a scenario could not be measured, or a figure of the smoke test is not as it must be.
    """
    # So that whoever stops the run does not leave its processes behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(width=None if sys.stdout.isatty() else 190)
    profile = PROFILES[profile_name]
    report.parent.mkdir(parents=True, exist_ok=True)
    whole = _earlier(report, profile.name) | {
        "format": FORMAT,
        "profile": profile.name,
        "machine": machine(),
        "versions": versions(),
    }
    broken: list[str] = []
    for name in chosen(profile, names):
        console.rule(name)
        began, rows = time.monotonic(), []
        try:
            for row in SCENARIOS[name](
                profile, lambda what: console.print(f"[dim]{time.strftime('%H:%M:%S')} {what}[/]")
            ):
                rows.append(row)
                # After each: what was measured is not lost if the next one fails.
                whole["scenarios"][name] = {"seconds": time.monotonic() - began, "rows": rows}
                report.write_text(json.dumps(whole, indent=2))
        except Exception:  # noqa: BLE001 - whatever went wrong, the others can still be measured
            console.print_exception()
            broken.append(name)
        if rows:
            tables.show(console, name, rows)
    judged = goals.judge(whole["scenarios"])
    whole["goals"] = [goal.as_json() for goal in judged]
    report.write_text(json.dumps(whole, indent=2))
    console.rule("goals")
    tables.show_goals(console, judged)
    console.print(f"written to {report}")
    if broken:
        console.print(f"[red]not measured: {', '.join(broken)}[/]")
    if broken or any(goal.is_must and not goal.is_met for goal in judged):
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
