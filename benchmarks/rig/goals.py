"""What Wanimate shall reach, whether it does, and if not what bounds it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: A machine busier than this was the limit itself.
_BUSY = 0.9


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of the goals.

    Args:
        figure: What it is about.
        goal: What is wanted.
        measured: What came out.
        is_met: Whether it is met; None if it was not measured, or is only reported.
        bound: What bounds it where it is not met.
    """

    figure: str
    goal: str
    measured: str
    is_met: bool | None
    bound: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it for the report."""
        return asdict(self)


def judge(scenarios: dict[str, Any]) -> list[Goal]:
    """Return the goals with what was measured.

    Args:
        scenarios: The figures by scenario.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: of["rows"] for name, of in scenarios.items()}
    goals: list[Goal] = []
    for of in (_scale, _ahead, _enqueue, _cost, _throughput, _growth, _workers, _faults, _plans):
        goals += of(rows)
    return goals


def _scale(rows: dict[str, list[dict[str, Any]]]) -> Iterable[Goal]:
    for row in rows.get("scale", ()):
        way = "callbacks" if row["has_callbacks"] else "polling"
        why, filling = _why(row), _filling_loss(row)
        if row["has_callbacks"]:
            wanted_use, wanted_ratio = 0.99, 1.02
            bound = f"at most {1 - filling:.3f}, for the slots fill at the request limit; {why}"
            yield _least("slot use with a backlog, callbacks", row["slot_use"], wanted_use, bound)
            lag = row["lag_median_seconds"]
            yield _most("detection lag, median, callbacks", lag and lag * 1000, 100, why, unit=" ms")
        else:
            wanted_use, wanted_ratio = 0.95, 1.06
            least = row["bound"]["slot_use"]
            bound = f"computed bound {least:.3f}, {least - filling:.3f} with the filling at the request limit; {why}"
            yield _least("slot use with a backlog, polling", row["slot_use"], wanted_use, bound)
            lag, least = row["lag_mean_seconds"], row["lag_mean_bound_seconds"]
            yield _most("detection lag, mean / computed bound, polling", lag and lag / least, 1.15, why)
        yield _most(f"makespan / ideal list schedule, {way}", row["makespan_ratio"], wanted_ratio, why)
        yield _most(f"429 answers, {way}", row["count_429"], 0, "")


def _filling_loss(row: dict[str, Any]) -> float:
    """Return what part of the slot use is lost while the slots fill as fast as requests may be sent."""
    filling_seconds: float = row["cap"] / (row["rate"] / 60) / row["speed"]
    return filling_seconds / 2 / float(row["makespan_seconds"])


def _ahead(rows: dict[str, list[dict[str, Any]]]) -> Iterable[Goal]:
    for scenario in ("limits", "peers"):
        contenders = rows.get(scenario, [])
        own = [row for row in contenders if row["contender"] == "Wanimate, polling"]
        others = [row for row in contenders if not row["contender"].startswith("Wanimate")]
        if own and others:
            best = max(others, key=lambda row: float(row["slot_use"]))
            bound = f"{best['contender']} has {best['throttled_per_job']:.2f} answers 429 a job; {_why(own[0])}"
            figure = f"slot use, polling, ahead of the best peer ({scenario})"
            yield _least(figure, own[0]["slot_use"], best["slot_use"], bound)


def _enqueue(rows: dict[str, list[dict[str, Any]]]) -> Iterable[Goal]:
    wanted = {"single calls": 1_500, "submit_many": 20_000}
    for row in rows.get("enqueue", ()):
        bound = f"CPU: {row['jobs_per_cpu_second']:,.0f} a CPU second"
        yield _least(
            f"enqueue, one process, {row['way']}", row["jobs_per_second"], wanted[row["way"]], bound, unit="/s"
        )


def _cost(rows: dict[str, list[dict[str, Any]]]) -> Iterable[Goal]:
    celery = [row["cpu_ms_per_job"] for row in rows.get("peers", ()) if row["contender"].startswith("Celery")]
    for row in rows.get("peers", ()):
        if row["contender"].startswith("Wanimate"):
            name = row["contender"].removeprefix("Wanimate, ")
            yield _most(f"worker CPU per job, {name}, below Celery", row["cpu_ms_per_job"], min(celery), "", unit=" ms")
            commands = f"Redis commands per job with those inside scripts, {name}"
            yield _most(commands, row["redis_commands_per_job"], 40, _commands(row))
    for row in rows.get("commands", ()):
        name = row["contender"].removeprefix("Wanimate, ")
        yield _most(f"Redis commands per job that are sent, {name}", row["sent_per_job"], 40, row["most_sent"])
    # The longest backlog: what is shared by all jobs counts least there.
    for row in rows.get("growth", ())[-1:]:
        yield _most("Redis memory per waiting job", row["bytes_per_waiting_job"], 1_536, "", unit=" B")


def _throughput(rows: dict[str, list[dict[str, Any]]]) -> Iterable[Goal]:
    for row in rows.get("throughput", ()):
        bound = f"worker uses {row['worker_cores']:.2f} cores, {row['worker_cpu_ms_per_job']:.1f} ms a job; {_why(row)}"
        name = row["contender"].removeprefix("Wanimate, ")
        yield Goal(
            f"one worker process, no limit, {name}", "report", f"{row['jobs_per_second']:.0f} jobs/s", None, bound
        )


def _growth(rows: dict[str, list[dict[str, Any]]]) -> Iterable[Goal]:
    watched = rows.get("growth", [])
    if len(watched) < 2:
        return
    first, last = watched[0], watched[-1]
    for figure, key in (
        ("submit latency", "submit_median_ms"),
        ("detection lag", "lag_median_ms"),
        ("worker memory", "worker_rss_mb"),
    ):
        before, after = first[key], last[key]
        if before and after:
            what = f"{figure}, {first['waiting']:,} -> {last['waiting']:,} waiting"
            # Noise on a shared machine is half the figure itself.
            yield Goal(what, "flat", f"{before:.0f} -> {after:.0f}", after <= before * 1.5)


def _workers(rows: dict[str, list[dict[str, Any]]]) -> Iterable[Goal]:
    measured = rows.get("workers", [])
    if not measured:
        return
    exact = all(row["above_cap"] == 0 and row["requests_window_max"] <= row["rate"] for row in measured)
    yield Goal("cap and budget with 1, 2, 4 workers", "exact", "exact" if exact else "exceeded", exact)
    uses = {row["workers"]: row["slot_use"] for row in measured}
    told = ", ".join(f"{count}: {use:.3f}" for count, use in uses.items())
    is_met = min(uses[2], uses[4]) >= uses[1] - 0.02
    yield Goal("slot use with 1, 2, 4 workers", "no loss", told, is_met, "" if is_met else _why(measured[-1]))


def _faults(rows: dict[str, list[dict[str, Any]]]) -> Iterable[Goal]:
    for row in rows.get("faults", ()):
        if row["contender"].startswith("Wanimate"):
            figures = {name: row[name] for name in ("never_sent", "stranded", "unknown", "paid_twice")}
            told = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in figures.items())
            # Killed between its intent and the answer: kept, and nobody can know more.
            is_met = row["never_sent"] + row["stranded"] == row["unknown"] and not row["paid_twice"]
            bound = (
                f"waited {row['patience_seconds']:.0f} s; what a dead poll had is seen after {row['lease_seconds']:.0f}"
            )
            yield Goal(f"{row['fault']}, {row['contender']}", "none but unknown", told, is_met, "" if is_met else bound)


def _plans(rows: dict[str, list[dict[str, Any]]]) -> Iterable[Goal]:
    for row in rows.get("plans", ()):
        name = f"plan {row['plan']}, {row['mode']}"
        yield _most(f"429 answers, {name}", row["count_429"], 0, "")
        if row["mode"] == "polling":
            least = row["slot_use_bound"]
            yield _least(
                f"slot use / computed bound, {name}", row["slot_use"] / least, 0.92, f"the bound is {least:.3f}"
            )


def _least(figure: str, measured: float | None, wanted: float, bound: str, unit: str = "") -> Goal:
    return _compare(figure, measured, wanted, bound, unit, ">=", lambda value: value >= wanted)


def _most(figure: str, measured: float | None, wanted: float, bound: str, unit: str = "") -> Goal:
    return _compare(figure, measured, wanted, bound, unit, "<=", lambda value: value <= wanted)


def _compare(
    figure: str,
    measured: float | None,
    wanted: float,
    bound: str,
    unit: str,
    sign: str,
    holds: Callable[[float], bool],
) -> Goal:
    goal = f"{sign} {_number(wanted)}{unit}"
    if measured is None:
        return Goal(figure, goal, "not measured", None)
    is_met = holds(measured)
    return Goal(figure, goal, f"{_number(measured)}{unit}", is_met, "" if is_met else bound)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _why(row: dict[str, Any]) -> str:
    """Return what may have bounded a run, by what was busy."""
    load = row.get("machine_load")
    if load is None:
        return ""
    cores = row["cpu_cores"]
    if load >= _BUSY:
        return f"the machine was {load:.0%} busy ({cores:.2f} cores of it our workers): measure again on an idle one"
    return f"the machine was {load:.0%} busy, {cores:.2f} cores of it our workers"


def _commands(row: dict[str, Any]) -> str:
    most = list(row.get("redis_commands", {}).items())[:5]
    return "most: " + ", ".join(f"{name} {count:.1f}" for name, count in most)
