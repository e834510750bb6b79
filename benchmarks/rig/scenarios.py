"""What is measured. Each scenario takes a profile, tells what it is doing, and returns rows of figures."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from bounds import polling_bound
from pydantic import SecretStr
from redis import Redis
from wanimate import Client, Result
from wanimate.contract import ENTRY_QUEUE, Keys
from wanimate.settings import Settings
from wanimate_devstack import Stack, StackOptions, leftovers
from wanimate_worker.queues import queue_lengths

from . import gauge, judge, trial
from .load import Load, marker
from .peers import KINDS, Peer
from .wanimate import Wanimate, poll_lease_seconds, reachable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .contender import Contender
    from .load import Plan, Profile

Row = dict[str, Any]
Tell = Callable[[str], None]

_BIN = Path(sys.executable).parent
_FAULTS = {
    "kill -9 of a worker": trial.kill_a_worker,
    "Redis restart": trial.restart_redis,
}


# -- the same jobs for everyone ---------------------------------------------------------------------------------------


def run_peers(profile: Profile, tell: Tell) -> Iterable[Row]:
    """Give everyone the same jobs, one after the other."""
    return (_measure(make, tell) for make in _everyone(profile.peers))


def run_limits(profile: Profile, tell: Tell) -> Iterable[Row]:
    """Do the work of the vendor's own limits in real time, with priors that are wrong by ten both ways."""
    makers = _everyone(profile.limits) if profile.limits_for_everyone else _own(profile.limits)
    too_short = partial(Wanimate, replace(profile.limits, prior=0.1), has_callbacks=False)
    return (_measure(make, tell) for make in (*makers, too_short))


def run_scale(profile: Profile, tell: Tell) -> Iterable[Row]:
    """Meet the vendor's own limits at its own speed."""
    return (_measure(make, tell) for make in _own(profile.scale))


def run_faults(profile: Profile, tell: Tell) -> list[Row]:
    """Let each fault happen to everyone once."""
    patience = {"patience_seconds": profile.patience_seconds, "lease_seconds": poll_lease_seconds(profile.faults)}

    def meet(what: str, make: Callable[[], Contender]) -> Row:
        with make() as contender:
            tell(f"{what}: {contender.name}")
            figures = trial.run(contender, fault=_FAULTS[what], patience_seconds=profile.patience_seconds)
        return {"fault": what, **patience, **figures}

    with ThreadPoolExecutor(profile.faults_at_once) as threads:
        trials = [threads.submit(meet, what, make) for what in _FAULTS for make in _everyone(profile.faults)]
        return [each.result() for each in trials]


def _own(load: Load) -> list[Callable[[], Contender]]:
    return [partial(Wanimate, load, has_callbacks=has_callbacks) for has_callbacks in (True, False)]


def _everyone(load: Load) -> list[Callable[[], Contender]]:
    """Return what makes each contender, Wanimate first."""
    return [*_own(load), *(partial(Peer, kind, load) for kind in KINDS)]


def _measure(make: Callable[[], Contender], tell: Tell) -> Row:
    with make() as contender:
        tell(contender.name)
        row = trial.run(contender)
    load = contender.load
    # While the slots fill as fast as requests may be sent, half of them are free on average.
    row["filling_loss"] = load.cap / (load.rate / 60) / load.speed / 2 / row["makespan_seconds"]
    if "polling" in contender.name:
        bound = reachable(load, row["mean_duration_seconds"] * load.speed)
        row["slot_use_bound"] = bound.slot_use
        row["lag_bound"] = bound.lag_seconds / load.speed / row["mean_duration_seconds"]
    return row


# -- one process, or idle ones ----------------------------------------------------------------------------------------


def run_enqueue(profile: Profile, tell: Tell) -> list[Row]:
    """Enqueue from processes that have just begun, while the workers stand still, and while they run."""
    rows = []
    with Wanimate(profile.limits, has_callbacks=True) as contender:
        for name, way, jobs, number in (
            ("submit_many, idle", "many", 3_000, signal.SIGSTOP),
            ("single calls", "single", 1_500, signal.SIGSTOP),
            ("submit_many, workers running", "many", 3_000, signal.SIGCONT),
        ):
            tell(name)
            contender.signal(number)
            seconds, cpu = sorted(_cold(contender, way, jobs) for _ in range(3))[1]
            rows.append({"way": name, "jobs": jobs, "per_second": jobs / seconds, "per_cpu_second": jobs / cpu})
    return rows


def _cold(contender: Wanimate, way: str, jobs: int) -> tuple[float, float]:
    # -P: beside it is a module that is called like the library.
    command = [sys.executable, "-P", str(Path(__file__).with_name("cold_producer.py")), way, str(jobs)]
    environment = {**os.environ, **contender.stack.environment}
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()
    return float(told[0]), float(told[1])


def run_throughput(profile: Profile, tell: Tell) -> Iterable[Row]:
    """Run jobs that are over almost at once through one worker process."""
    for make in _own(profile.throughput):
        with make() as contender:
            tell(contender.name)
            yield trial.run(contender)


def run_idle(profile: Profile, tell: Tell) -> list[Row]:
    """Watch a stack that has nothing to do, and ask it for a job's status from the shell."""
    options = StackOptions(workers=2, has_flower=False, has_callbacks=True, has_ops=True)
    with Stack(options) as stack, Client(Settings(redis_url=SecretStr(stack.redis.url))) as client:
        handle = client.submit(Load(jobs=1, cap=1, rate=1, speed=1).job(0))
        tell("wanimate status")
        command = [str(_BIN / "wanimate"), "status", handle.id]
        environment = {**os.environ, **stack.environment, "PYTHONDONTWRITEBYTECODE": ""}
        took = []
        # The first of them compiles.
        for _ in range(11):
            began, before = time.perf_counter(), os.times()
            subprocess.run(command, env=environment, check=True, capture_output=True)
            after = os.times()
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            took.append((time.perf_counter() - began, cpu))
        handle.wait(timeout=180)
        processes = {"beat": stack.beat, "receiver": stack.receiver, "ops": stack.ops}
        processes |= {f"worker {number}": worker for number, worker in enumerate(stack.workers, start=1)}
        pids = {name: [process.pid] for name, process in processes.items() if process is not None}
        tell(f"idle for {profile.idle_seconds:.0f} s")
        time.sleep(3)
        before = {name: gauge.cpu_seconds(each) for name, each in pids.items()}
        time.sleep(profile.idle_seconds)
        rows: list[Row] = [
            {
                "process": name,
                "cpu_share": (gauge.cpu_seconds(each) - before[name]) / profile.idle_seconds,
                "memory_mb": gauge.memory_mb(each),
            }
            for name, each in pids.items()
        ]
    total = {name: sum(row[name] for row in rows) for name in ("cpu_share", "memory_mb")}
    status_ms, status_cpu_ms = (median(each) * 1000 for each in zip(*took[1:], strict=True))
    return [*rows, {"process": "all", **total, "status_ms": status_ms, "status_cpu_ms": status_cpu_ms}]


# -- more and less of everything --------------------------------------------------------------------------------------


def run_workers(profile: Profile, tell: Tell) -> list[Row]:
    """Run the same jobs with 1, 2 and 4 worker processes."""
    rows = []
    for workers in (1, 2, 4):
        tell(f"{workers} worker processes")
        with Wanimate(replace(profile.workers, workers=workers), has_callbacks=False) as contender:
            rows.append({"workers": workers, **trial.run(contender)})
    return rows


def run_growth(profile: Profile, tell: Tell) -> list[Row]:
    """Fill the backlog up to each length and watch what goes on meanwhile."""
    rows = []
    load = Load(jobs=0, cap=100, rate=20_000, speed=10, is_mixed=False)
    with (
        Wanimate(load, has_callbacks=False) as contender,
        contender.client() as client,
        Redis.from_url(contender.redis_url) as redis,
    ):
        empty_bytes = gauge.dataset_bytes(redis)
        for length in profile.growth_lengths:
            tell(f"{length:,} waiting")
            rows.append(_watch(contender, client, redis, length, profile.growth_seconds, empty_bytes))
    return rows


def _watch(contender: Wanimate, client: Client, redis: Redis, length: int, seconds: float, empty_bytes: int) -> Row:
    waiting = Keys("default").waiting
    missing = length - int(redis.zcard(waiting)) + contender.load.cap
    began = time.monotonic()
    client.submit_many(contender.load.job(number) for number in range(missing))
    enqueued = time.monotonic()
    # On a machine that is too busy it goes on with what is recorded by then; the table says how much that is.
    with contextlib.suppress(TimeoutError):
        gauge.wait_until(lambda: not queue_lengths(redis)[ENTRY_QUEUE], 60 + missing * 0.002, "all jobs recorded")
    recorded = time.monotonic()
    stored, rank = gauge.dataset_bytes(redis), int(redis.zcard(waiting))
    calls_ms, way_ms, lags_ms = _probe(contender, client, seconds)
    return {
        "waiting": rank,
        "enqueue_per_second": missing / (enqueued - began),
        "record_per_second": (missing - max(length - rank, 0)) / (recorded - began),
        "call_median_ms": median(calls_ms),
        "urgent_median_ms": median(way_ms),
        "urgent_p95_ms": sorted(way_ms)[int(len(way_ms) * 0.95)],
        "lag_median_ms": median(lags_ms) if lags_ms else None,
        "turns_per_second": len(lags_ms) / seconds,
        "largest_mb": max(gauge.memory_mb([worker.pid]) for worker in contender.workers()),
        "bytes_per_waiting_job": (stored - empty_bytes) / rank if rank else None,
    }


def _probe(contender: Wanimate, client: Client, seconds: float) -> tuple[list[float], list[float], list[float]]:
    """Return, in ms: how long `submit` takes, how long an urgent job needs to the vendor, how late ends are told."""
    known = judge.summary(contender.simulator_url)["accepted"]
    sent_ms: dict[str, float] = {}
    calls_ms = []
    began_ms, until = time.time() * 1000, time.monotonic() + seconds
    while time.monotonic() < until:
        name = f"urgent-{len(sent_ms)}-{known}"
        url = f"https://example.com/0.png?marker={name}"
        job = contender.load.job(0).model_copy(update={"image_url": url, "priority": 0})
        sent_ms[name] = time.time() * 1000
        client.submit(job)
        calls_ms.append(time.time() * 1000 - sent_ms[name])
        time.sleep(0.25)
    gauge.wait_until(
        lambda: sent_ms.keys() <= {task["marker"] for task in judge.tasks(contender.simulator_url, known)},
        60,
        "urgent jobs accepted",
    )
    tasks = judge.tasks(contender.simulator_url)
    way_ms = [task["accepted_at_ms"] - sent_ms[task["marker"]] for task in tasks if task["marker"] in sent_ms]
    ended = [task for task in tasks if began_ms <= (task["completed_at_ms"] or 0) <= began_ms + seconds * 1000]
    lags_ms = [task["first_told_at_ms"] - task["completed_at_ms"] for task in ended if task["first_told_at_ms"]]
    return calls_ms, way_ms, lags_ms


# -- the vendor's plans -----------------------------------------------------------------------------------------------


def run_plans(profile: Profile, tell: Tell) -> list[Row]:
    """Run each plan with polling and with callbacks, small ones beside each other."""

    def run(plan: Plan, way: str, number: int) -> Row:
        tell(f"{plan.name}, {way}, run {number + 1} of {plan.runs}")
        return _run_plan(plan, way, seed=number)

    rows = []
    # Nothing runs beside a plan that needs the machine.
    for is_small, at_once in ((True, 16), (False, 1)):
        with ThreadPoolExecutor(at_once) as threads:
            runs = {
                (plan, way): [threads.submit(run, plan, way, number) for number in range(plan.runs)]
                for plan in profile.plans
                if plan.is_small == is_small
                for way in ("polling", "callbacks")
            }
            rows += [_plan_row(*key, [each.result() for each in of]) for key, of in runs.items()]
    return rows


def _run_plan(plan: Plan, way: str, seed: int) -> Row:
    """Run one stack with a backlog for so long, and return what its vendor saw."""
    load, options = plan.load, {"seed": str(seed)}
    contender = Wanimate(load, has_callbacks=way == "callbacks", simulator_options=options)
    with contender, gauge.Sampler(contender.redis_url) as sampler:
        contender.enqueue()
        # Figures begin after three tasks of each slot, so that durations are learnt and tasks are of all ages.
        warm = min(3 * load.cap, load.jobs // 3)
        gauge.wait_until(
            lambda: judge.summary(contender.simulator_url)["accepted"] >= warm,
            9 * load.mean_seconds / load.speed + 60,
            f"{warm} tasks accepted",
        )
        began_ms = time.time() * 1000
        time.sleep(plan.seconds)
        ended_ms = time.time() * 1000
        summary, tasks = judge.summary(contender.simulator_url), judge.tasks(contender.simulator_url)
        if summary["accepted"] >= load.jobs:
            raise RuntimeError(f"the backlog of {load.jobs} jobs was too short for {plan.seconds:.0f} s")
    told = [
        task
        for task in tasks
        if began_ms <= (task["completed_at_ms"] or 0) < ended_ms and task["first_told_at_ms"] is not None
    ]
    work_ms = sum(
        max(
            0.0,
            min(ended_ms, task["accepted_at_ms"] + task["duration_seconds"] / load.speed * 1000)
            - max(began_ms, task["accepted_at_ms"]),
        )
        for task in tasks
    )
    return {
        "slot_use": work_ms / (load.cap * (ended_ms - began_ms)),
        "lags": [(task["first_told_at_ms"] - task["completed_at_ms"]) / 1000 * load.speed for task in told],
        "polls": [task["polls"] for task in told],
        "count_429": sum(summary["count_429"].values()),
        "above_cap": summary["violations_of_cap"],
        "requests_window_max": summary["requests_window_max"],
        "machine_load": sampler.machine_load,
    }


def _plan_row(plan: Plan, way: str, runs: Sequence[Mapping[str, Any]]) -> Row:
    load = plan.load
    # The whole rate: what the workers do not use of it is theirs to answer for.
    bound = (
        judge.callback_bound(load)
        if way == "callbacks"
        else polling_bound(load.cap, load.rate / 60, load.mean_seconds, load.sigma)
    )
    lags = [lag for run in runs for lag in run["lags"]]
    return {
        "plan": plan.name,
        "mode": way,
        "jobs": len(lags),
        "slot_use": fmean(run["slot_use"] for run in runs),
        "slot_use_bound": bound.slot_use,
        **judge.lateness(lags, load.mean_seconds),
        "lag_bound": bound.lag_seconds / load.mean_seconds,
        "polls_per_job": fmean(polls for run in runs for polls in run["polls"]),
        "polls_bound": bound.polls,
        "count_429": sum(run["count_429"] for run in runs),
        "above_cap": sum(run["above_cap"] for run in runs),
        "requests_window_max": max(run["requests_window_max"] for run in runs),
        "rate": load.rate,
        "machine_load": max(run["machine_load"] or 0.0 for run in runs),
    }


# -- the smoke test ---------------------------------------------------------------------------------------------------


def run_smoke(profile: Profile, tell: Tell) -> list[Row]:
    """Give each caller of 3,000 jobs its own result, within the vendor's limits, and leave nothing behind."""
    with Wanimate(profile.peers, has_callbacks=False) as contender, contender.client() as client:
        tell(f"{contender.load.jobs} jobs, {contender.load.cap} slots, polling")
        row = trial.run(contender)
        outcomes = client.wait_all(contender.handles, timeout=60)
        marker_of = {task["task_id"]: task["marker"] for task in judge.tasks(contender.simulator_url)}
        row["right_results"] = sum(
            isinstance(outcome, Result) and marker_of.get(outcome.task_id) == marker(number)
            for number, outcome in enumerate(outcomes)
        )
        deadline = time.monotonic() + 30
        # The tick's own message is there for a moment now and then.
        while (left := leftovers(contender.stack)) and time.monotonic() < deadline:
            time.sleep(0.1)
        row["left"] = left
    return [row]


SCENARIOS = {
    "peers": run_peers,
    "limits": run_limits,
    "enqueue": run_enqueue,
    "throughput": run_throughput,
    "idle": run_idle,
    "faults": run_faults,
    "growth": run_growth,
    "workers": run_workers,
    "scale": run_scale,
    "plans": run_plans,
    "smoke": run_smoke,
}


def chosen(profile: Profile, names: Iterable[str]) -> list[str]:
    """Return the scenarios to run: those that are named, else those that the profile has time for."""
    by_name = {"plans", "smoke"} | ({"growth", "workers", "scale"} if profile.name == "short" else set())
    return [*names] or [name for name in SCENARIOS if name not in by_name]
