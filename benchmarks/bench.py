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
import traceback
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from rig import goals
from rig.load import PROFILES
from rig.scenarios import SCENARIOS
from rig.tables import markdown

#: Raised when figures change their names: an earlier report is then not gone on with.
FORMAT = 4


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
    # A run that is stopped leaves no processes behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    report.parent.mkdir(parents=True, exist_ok=True)
    whole: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {}
    if (whole.get("format"), whole.get("profile")) != (FORMAT, profile_name):
        whole = {"format": FORMAT, "profile": profile_name, "scenarios": {}}
    whole["machine"] = {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_at_start": os.getloadavg()[0],
    }
    whole["versions"] = {name: version(name) for name in ("celery", "kombu", "httpx", "wanimate")}
    broken: list[str] = []
    for name in names or [name for name, scenario in SCENARIOS.items() if profile_name in scenario.profiles]:
        scenario, began = SCENARIOS[name], time.monotonic()
        rows: list[dict[str, Any]] = []
        print(f"\n## {name}: {(scenario.run.__doc__ or '').splitlines()[0]}\n")
        try:
            for row in scenario.run(PROFILES[profile_name]):
                rows.append(row)
                # After each: what was measured is not lost if the next one fails.
                whole["scenarios"][name] = {"seconds": time.monotonic() - began, "rows": rows}
                report.write_text(json.dumps(whole, indent=2))
        except Exception:  # noqa: BLE001 - whatever went wrong, the others can still be measured
            traceback.print_exc()
            broken.append(name)
        if rows:
            shown = scenario.shown.split()
            cells = [[row.get(figure) for figure in shown] for row in rows]
            heads = [figure.replace("_", " ") for figure in shown]
            print("", markdown(heads, cells, is_turned=len(heads) > len(rows)), sep="\n")
    judged = goals.judge(whole["scenarios"])
    whole["goals"] = [asdict(goal) for goal in judged]
    report.write_text(json.dumps(whole, indent=2))
    print("\n## Goals\n")
    lines = ((goal.figure, goal.goal, goal.measured, "yes" if goal.is_met else "NO", goal.note) for goal in judged)
    print(markdown(("figure", "goal", "measured", "met", "note"), lines))
    print(f"\nwritten to {report}")
    if broken:
        print(f"not measured: {', '.join(broken)}")
    if broken or any(goal.is_must and not goal.is_met for goal in judged):
        sys.exit(1)


if __name__ == "__main__":
    main()
