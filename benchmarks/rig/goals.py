"""What Wanimate shall reach, and whether it does."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Rows = Mapping[str, Sequence[Mapping[str, Any]]]

#: A machine busier than this was the limit itself.
_BUSY = 0.9
#: For each comparison with Wanimate's own processes: CPU in ms a job, and the share of the slots that are used; with
#: callbacks, and with polling.
_CPU_MS = {"peers": (6, 9), "limits": (9, 12), "scale": (9, 12)}
_SLOT_USE = {"peers": (0.96, 0.93), "limits": (0.98, 0.94)}


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of the goals.

    Args:
        figure: What it is about.
        goal: What is wanted.
        measured: What came out.
        is_met: Whether it is met; None if it was not measured.
        note: What to know beside it.
        is_must: Whether a run in which it is not met has failed.
    """

    figure: str
    goal: str
    measured: str
    is_met: bool | None
    note: str = ""
    is_must: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it for the report."""
        return asdict(self)


def judge(scenarios: Mapping[str, Any]) -> list[Goal]:
    """Return the goals with what was measured.

    Args:
        scenarios: The figures by scenario.
    """
    rows = {name: of["rows"] for name, of in scenarios.items()}
    return [goal for of in (_comparisons, _processes, _faults, _workers, _smoke) for goal in of(rows)]


def _comparisons(rows: Rows) -> Iterable[Goal]:
    for scenario in ("peers", "limits", "scale"):
        others = [row for row in rows.get(scenario, ()) if not _is_own(row)]
        for row in filter(_is_own, rows.get(scenario, ())):
            has_callbacks = "callbacks" in row["contender"]
            name = f"{scenario}, {row['contender'].removeprefix('Wanimate, ')}"
            note = _machine(row)
            if "prior" not in row["contender"]:
                wanted_ms = _CPU_MS[scenario][0 if has_callbacks else 1]
                yield _most(f"{name}: CPU a job", row["cpu_ms_per_job"], wanted_ms, note, " ms")
                yield from _slots(scenario, name, row, others)
                yield _most(f"{name}: Redis commands a job", row["redis_commands_per_job"], 60, "")
            if has_callbacks:
                figure = f"{name}: slot's end to next acceptance, median"
                yield _most(figure, row["handover_median_ms"], 15, note, " ms")
            p50 = f"p50 {row['lag_p50']:.3f}; {note}"
            yield _most(f"{name}: late, p99, in durations", row["lag_p99"], 0.05 if has_callbacks else 0.30, p50)
            if not has_callbacks:
                late = row["lag_mean"] / row["lag_bound"]
                bound = f"the bound is {row['lag_bound']:.3f} durations"
                yield _most(f"{name}: late, mean / computed bound", late, 1.15, bound)


def _slots(scenario: str, name: str, row: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> Iterable[Goal]:
    has_callbacks = "callbacks" in row["contender"]
    figure = f"{name}: slots used"
    if scenario == "scale":
        filling = f"at most {1 - row['filling_loss']:.3f}, for the slots fill at the request limit"
        wanted = 0.992 if has_callbacks else row["slot_use_bound"] - row["filling_loss"] - 0.01
        bound = filling if has_callbacks else f"the bound is {row['slot_use_bound']:.3f}; {filling}"
        yield _least(figure, row["slot_use"], wanted, bound)
        return
    yield _least(figure, row["slot_use"], _SLOT_USE[scenario][0 if has_callbacks else 1], _machine(row))
    if others:
        best = max(others, key=lambda other: float(other["slot_use"]))
        note = f"{best['contender']}, {best['throttled_per_job']:.2f} answers 429 a job"
        yield _least(f"{name}: slots used, ahead of every peer", row["slot_use"], best["slot_use"], note)


def _processes(rows: Rows) -> Iterable[Goal]:
    wanted = {"submit_many, idle": 20_000, "submit_many, workers running": 10_000, "single calls": 1_500}
    for row in rows.get("enqueue", ()):
        note = f"{row['per_cpu_second']:,.0f} a CPU second"
        yield _least(f"enqueue, {row['way']}", row["per_second"], wanted[row["way"]], note, "/s")
    for row in rows.get("peers", ()):
        if row["contender"] == "Wanimate, callbacks":
            yield _most("memory (PSS) of the largest process", row["largest_mb"], 90, "after 3,000 jobs", " MB")
            yield _most("memory (PSS) of two workers, beat, receiver", row["memory_mb"], 300, "", " MB")
    for row in rows.get("throughput", ()):
        note = f"{row['cpu_cores']:.2f} cores, {row['cpu_ms_per_job']:.1f} ms a job; {_machine(row)}"
        name = row["contender"].removeprefix("Wanimate, ")
        yield _least(f"one worker process, no limit, {name}", row["jobs_per_second"], 300, note, " jobs/s")
    for row in rows.get("idle", ()):
        if row["process"] == "all":
            note = f"CPU {row['status_cpu_ms']:.0f} ms"
            yield _most("`wanimate status`, from the shell", row["status_ms"], 300, note, " ms")
            cpu = "CPU of two idle workers, beat, receiver, ops"
            yield _most(cpu, row["cpu_share"] * 100, 3, "", " % of a core")


def _faults(rows: Rows) -> Iterable[Goal]:
    for row in filter(_is_own, rows.get("faults", ())):
        counts = {name: row[name] for name in ("never_sent", "stranded", "unknown", "paid_twice")}
        told = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items())
        # Killed between its intent and the answer: the job is kept as unknown, for nothing more can be known.
        is_met = row["never_sent"] + row["stranded"] == row["unknown"] and not row["paid_twice"]
        note = f"waited {row['patience_seconds']:.0f} s; other workers take over after {row['lease_seconds']:.0f}"
        yield Goal(f"{row['fault']}, {row['contender']}", "none but unknown", told, is_met, note)


def _workers(rows: Rows) -> Iterable[Goal]:
    measured = rows.get("workers", [])
    if measured:
        is_exact = all(row["above_cap"] == 0 and row["requests_window_max"] <= row["rate"] for row in measured)
        yield Goal("cap and rate with 1, 2, 4 workers", "exact", "exact" if is_exact else "exceeded", is_exact)


def _smoke(rows: Rows) -> Iterable[Goal]:
    for row in rows.get("smoke", ()):
        for figure, measured, wanted in (
            ("right results", row["right_results"], row["jobs"]),
            ("in flight at most", row["in_flight_max"], row["cap"]),
            ("submissions above the cap", row["above_cap"], 0),
            ("jobs accepted twice", row["paid_twice"], 0),
            ("answers 429", row["count_429"], 0),
            ("keys and messages left", row["left"] or 0, 0),
        ):
            yield Goal(f"smoke: {figure}", f"= {wanted}", f"{measured}", measured == wanted, is_must=True)
        window, rate = row["requests_window_max"], row["rate"]
        yield Goal("smoke: requests in the fullest window", f"<= {rate}", f"{window}", window <= rate, is_must=True)


def _is_own(row: Mapping[str, Any]) -> bool:
    return str(row["contender"]).startswith("Wanimate")


def _machine(row: Mapping[str, Any]) -> str:
    load = row["machine_load"] or 0.0
    return f"the machine was {load:.0%} busy: measure again on an idle one" if load >= _BUSY else ""


def _least(figure: str, measured: float, wanted: float, note: str, unit: str = "") -> Goal:
    return Goal(figure, f">= {_number(wanted)}{unit}", f"{_number(measured)}{unit}", measured >= wanted, note)


def _most(figure: str, measured: float | None, wanted: float, note: str, unit: str = "") -> Goal:
    if measured is None:
        return Goal(figure, f"<= {_number(wanted)}{unit}", "not measured", None)
    return Goal(figure, f"<= {_number(wanted)}{unit}", f"{_number(measured)}{unit}", measured <= wanted, note)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
