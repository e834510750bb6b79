"""The plots of the benchmark, from its report: `plots.py build/reports/bench.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

_OWN, _OTHER = "#2b6cb0", "#a0aec0"


def peers(rows: list[dict[str, Any]], folder: Path) -> None:
    """Draw slot use, detection lag and CPU of everyone."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), sharey=True, layout="constrained")
    names = [row["contender"] for row in rows]
    colours = [_OWN if name.startswith("Wanimate") else _OTHER for name in names]
    for axis, (key, title) in zip(
        axes,
        (
            ("slot_use", "share of the slots in use"),
            ("lag_mean_share", "result later than the video,\nin parts of its duration"),
            ("cpu_ms_per_job", "worker CPU, ms a job"),
        ),
        strict=True,
    ):
        bars = axis.barh(names, [row[key] or 0 for row in rows], color=colours)
        axis.bar_label(bars, fmt="%.2f" if key != "cpu_ms_per_job" else "%.0f", padding=3)
        axis.set_title(title, fontsize=10)
        axis.margins(x=0.15)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].invert_yaxis()
    figure.savefig(folder / "bench-peers.svg")


def growth(rows: list[dict[str, Any]], folder: Path) -> None:
    """Draw what becomes of latencies and memory as the backlog grows, relative to the shortest one."""
    figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for key, label in (
        ("submit_median_ms", "urgent job to the vendor"),
        ("lag_median_ms", "detection lag"),
        ("worker_rss_mb", "worker memory"),
    ):
        if all(row[key] for row in rows):
            axis.plot([row["waiting"] for row in rows], [row[key] / rows[0][key] for row in rows], "o-", label=label)
    axis.set(xscale="log", ylim=(0, None), xlabel="waiting jobs", ylabel="relative to the shortest backlog")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    figure.savefig(folder / "bench-growth.svg")


def main() -> None:
    """Draw every plot that the report has figures for."""
    report = Path(sys.argv[1])
    scenarios = json.loads(report.read_text())["scenarios"]
    mpl.rcParams["svg.hashsalt"] = "wanimate"
    for draw in (peers, growth):
        if draw.__name__ in scenarios:
            draw(scenarios[draw.__name__]["rows"], report.parent)
            print(f"drawn: {report.parent / f'bench-{draw.__name__}.svg'}")


if __name__ == "__main__":
    main()
