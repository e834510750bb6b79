"""What Wanimate shall reach, and whether it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .tables import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Row = Mapping[str, Any]
    Rows = Mapping[str, Sequence[Row]]

#: A machine busier than this was the limit itself.
_BUSY = 0.9
#: For each comparison with Wanimate's own processes: CPU in ms a job, and the share of the slots that are used; with
#: callbacks, and with polling.
_CPU_MS = {"peers": (6, 9), "limits": (9, 12), "scale": (9, 12)}
_SLOT_USE = {"peers": (0.96, 0.93), "limits": (0.98, 0.94)}
#: Jobs a second.
_ENQUEUE = {"submit_many, idle": 20_000, "submit_many, workers running": 10_000, "single calls": 1_500}


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of the goals; a run in which one that `is_must` is not met has failed."""

    figure: str
    goal: str
    measured: str
    is_met: bool
    note: str = ""
    is_must: bool = False


def judge(scenarios: Mapping[str, Any]) -> list[Goal]:
    """Return the goals with what was measured, from the figures by scenario."""
    rows = {name: of["rows"] for name, of in scenarios.items()}
    return [goal for of in (_comparisons, _processes, _faults, _smoke) for goal in of(rows)]


def _comparisons(rows: Rows) -> Iterable[Goal]:
    for scenario in _CPU_MS:
        others = [row for row in rows.get(scenario, ()) if not _is_own(row)]
        for row in filter(_is_own, rows.get(scenario, ())):
            name, note = f"{scenario}, {_mode(row)}", _machine(row)
            if row["late_mean"] is None:
                yield Goal(f"{name}: results", "all", "none", is_met=False)
                continue
            has_callbacks = "callbacks" in name
            if "prior" not in name:
                wanted_ms = _CPU_MS[scenario][0 if has_callbacks else 1]
                yield _most(f"{name}: CPU a job", row["cpu_ms_per_job"], wanted_ms, note, " ms")
                yield from _slots(scenario, name, row, others)
                yield _most(f"{name}: Redis commands a job", row["redis_commands_per_job"], 60)
            if has_callbacks:
                yield _most(f"{name}: slot's end to next acceptance, median", row["handover_ms"], 15, note, " ms")
            p50 = f"p50 {row['late_p50']:.3f}; {note}"
            yield _most(f"{name}: late, p99, in durations", row["late_p99"], 0.05 if has_callbacks else 0.30, p50)
            if not has_callbacks:
                bound = f"the bound is {row['late_bound']:.3f} durations"
                yield _most(f"{name}: late, mean / bound", row["late_mean"] / row["late_bound"], 1.15, bound)
            is_kept = row["above_cap"] == 0 and row["requests_window_max"] <= row["rate"]
            yield Goal(f"{name}: cap and request limit", "kept", "kept" if is_kept else "exceeded", is_kept)


def _slots(scenario: str, name: str, row: Row, others: Sequence[Row]) -> Iterable[Goal]:
    figure, measured = f"{name}: slots used", row["slot_use"]
    bound = row.get("slot_use_bound")
    if scenario == "scale":
        filling = f"at most {1 - row['filling_loss']:.3f}, for the slots fill at the request limit"
        wanted = 0.992 if bound is None else bound - row["filling_loss"] - 0.01
        yield _least(figure, measured, wanted, filling if bound is None else f"the bound is {bound:.3f}; {filling}")
        return
    yield _least(figure, measured, _SLOT_USE[scenario][0 if bound is None else 1], _machine(row))
    if others:
        best = max(others, key=lambda other: float(other["slot_use"]))
        note = f"{best['contender']}, {best['429_per_job']:.2f} answers 429 a job"
        yield _least(f"{figure}, ahead of every peer", measured, best["slot_use"], note)


def _processes(rows: Rows) -> Iterable[Goal]:
    for row in rows.get("enqueue", ()):
        note = f"{row['jobs_per_cpu_second']:,.0f} a CPU second"
        yield _least(f"enqueue, {row['way']}", row["jobs_per_second"], _ENQUEUE[row["way"]], note, "/s")
    for row in rows.get("peers", ()):
        if row["contender"] == "Wanimate, callbacks":
            yield _most("memory (PSS) of the largest process", row["largest_mb"], 90, "after 3,000 jobs", " MB")
            yield _most("memory (PSS) of two workers, beat, receiver", row["memory_mb"], 300, unit=" MB")
    for row in rows.get("throughput", ()):
        note = f"{row['cpu_cores']:.2f} cores, {row['cpu_ms_per_job']:.1f} ms a job; {_machine(row)}"
        figure = f"one worker process, no limit, {_mode(row)}"
        yield _least(figure, row["jobs_per_second"], 300, note, " jobs/s")
    for row in rows.get("idle", ()):
        if row["process"] == "all":
            note = f"CPU {row['status_cpu_ms']:.0f} ms"
            yield _most("`wanimate status`, from the shell", row["status_ms"], 300, note, " ms")
            figure = "CPU of two idle workers, beat, receiver, ops"
            yield _most(figure, row["cpu_of_a_core"] * 100, 3, unit=" % of a core")


def _faults(rows: Rows) -> Iterable[Goal]:
    for row in filter(_is_own, rows.get("faults", ())):
        counts = {name: row[name] for name in ("never_sent", "stranded", "unknown", "paid_twice")}
        measured = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items())
        # Killed between its intent and the answer: the job is kept as unknown, for nothing more can be known.
        is_met = row["never_sent"] + row["stranded"] == row["unknown"] and not row["paid_twice"]
        yield Goal(f"{row['fault']}, {row['contender']}", "none but unknown", measured, is_met)


def _smoke(rows: Rows) -> Iterable[Goal]:
    for row in rows.get("smoke", ()):
        for figure, measured, wanted in (
            ("right results", row["right_results"], row["jobs"]),
            ("in flight at most", row["in_flight_max"], row["cap"]),
            ("submissions above the cap", row["above_cap"], 0),
            ("jobs accepted twice", row["paid_twice"], 0),
            ("answers 429 a job", row["429_per_job"], 0),
            ("keys and messages left", row["left"] or 0, 0),
        ):
            yield Goal(f"smoke: {figure}", f"= {wanted}", f"{measured}", measured == wanted, is_must=True)
        window, rate = row["requests_window_max"], row["rate"]
        yield Goal("smoke: requests in the fullest window", f"<= {rate}", f"{window}", window <= rate, is_must=True)


def _is_own(row: Row) -> bool:
    return str(row["contender"]).startswith("Wanimate")


def _mode(row: Row) -> str:
    return str(row["contender"]).removeprefix("Wanimate, ")


def _machine(row: Row) -> str:
    load = row["machine_load"]
    return f"the machine was {load:.0%} busy: measure again on an idle one" if load >= _BUSY else ""


def _least(figure: str, measured: float, wanted: float, note: str = "", unit: str = "") -> Goal:
    return Goal(figure, f">= {number(wanted)}{unit}", f"{number(measured)}{unit}", measured >= wanted, note)


def _most(figure: str, measured: float, wanted: float, note: str = "", unit: str = "") -> Goal:
    return Goal(figure, f"<= {number(wanted)}{unit}", f"{number(measured)}{unit}", measured <= wanted, note)
