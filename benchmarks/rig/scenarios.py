"""What is measured. Each scenario takes a profile and returns rows of figures."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

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
from .wanimate import Wanimate, reachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .contender import Contender
    from .load import Profile

    Row = dict[str, Any]

_FAULTS = {"kill -9 of a worker": trial.kill_a_worker, "Redis restart": trial.restart_redis}


# -- the same jobs for everyone ---------------------------------------------------------------------------------------


def run_peers(profile: Profile) -> Iterable[Row]:
    """Give everyone the same jobs, one after the other."""
    return map(_measure, _everyone(profile.peers))


def run_limits(profile: Profile) -> Iterable[Row]:
    """Do the work of the vendor's own limits in real time, with priors that are wrong by ten both ways."""
    contenders = _everyone(profile.limits) if profile.limits_for_everyone else _own(profile.limits)
    too_short = Wanimate(replace(profile.limits, prior=0.1), has_callbacks=False)
    return map(_measure, chain(contenders, [too_short]))


def run_scale(profile: Profile) -> Iterable[Row]:
    """Meet the vendor's own limits at its own speed."""
    return map(_measure, _own(profile.scale))


def run_plans(profile: Profile) -> Iterable[Row]:
    """Meet the limits of the vendor's smaller plans, all at once."""
    contenders = [contender for load in profile.plans for contender in _own(load)]
    with ThreadPoolExecutor(len(contenders)) as threads:
        for row in threads.map(_measure, contenders):
            yield {"plan": f"{row['cap']}/{row['rate']}, {row['contender'].removeprefix('Wanimate, ')}", **row}


def run_copies(profile: Profile) -> Iterable[Row]:
    """Work at the vendor's limits, without and with copies of the videos, which must delay nothing."""
    load, video_bytes = profile.scale, profile.video_bytes
    for has_callbacks in (False, True):
        for size in (None, video_bytes):
            contender = Wanimate(load, has_callbacks=has_callbacks, video_bytes=size)
            tell(f"{contender.name}: {load.jobs} jobs, {load.cap} slots")
            with contender:
                row = trial.run(contender)
                if size is not None:
                    files = list(contender.stack.videos_folder.rglob("*.mp4"))
                    row |= {"copied": len(files), "copied_mb": sum(file.stat().st_size for file in files) / 1e6}
                    row["mb_per_second_at_20_mb"] = len(files) * 20 / row["makespan_seconds"]
            yield row


def run_throughput(profile: Profile) -> Iterable[Row]:
    """Run jobs that are over almost at once through one worker process, without limits."""
    return map(_run, _own(profile.throughput))


def run_faults(profile: Profile) -> Iterable[Row]:
    """Let each fault happen to everyone once, in the middle."""
    meetings = [(what, contender) for what in _FAULTS for contender in _everyone(profile.faults)]
    with ThreadPoolExecutor(profile.faults_at_once) as threads:
        trials = [
            threads.submit(_run, contender, _FAULTS[what], profile.patience_seconds) for what, contender in meetings
        ]
        for (what, _), each in zip(meetings, trials, strict=True):
            yield {"fault": what, **each.result()}


def run_smoke(profile: Profile) -> Iterable[Row]:
    """Give each caller of 3,000 jobs its own result, by polling, within the limits, and leave nothing behind."""
    with Wanimate(profile.peers, has_callbacks=False) as contender, contender.client() as client:
        row = trial.run(contender)
        outcomes = client.wait_all(contender.handles, timeout=60)
        marker_of = {task["task_id"]: task["marker"] for task in judge.tasks(contender.simulator_url)}
        row["right_results"] = sum(
            isinstance(outcome, Result) and marker_of.get(outcome.task_id) == marker(number)
            for number, outcome in enumerate(outcomes)
        )
        # The tick's own message is there for a moment now and then.
        with contextlib.suppress(TimeoutError):
            gauge.wait_until(lambda: not leftovers(contender.stack), 30, "nothing left")
        row["left"] = leftovers(contender.stack)
    yield row


def _own(load: Load) -> Iterable[Contender]:
    return (Wanimate(load, has_callbacks=has_callbacks) for has_callbacks in (True, False))


def _everyone(load: Load) -> Iterable[Contender]:
    return chain(_own(load), (Peer(kind, load) for kind in KINDS))


def _run(contender: Contender, *fault: Any) -> Row:
    tell(f"{contender.name}: {contender.load.jobs} jobs, {contender.load.cap} slots")
    with contender:
        return trial.run(contender, *fault)


def _measure(contender: Contender) -> Row:
    row, load = _run(contender), contender.load
    # While the slots fill as fast as requests may be sent, half of them are free on average.
    row["filling_loss"] = load.cap / (load.rate / 60) / load.speed / 2 / row["makespan_seconds"]
    if "polling" in contender.name:
        bound = reachable(load, row["mean_duration_seconds"] * load.speed)
        row["slot_use_bound"] = bound.slot_use
        row["late_bound"] = bound.lag_seconds / load.speed / row["mean_duration_seconds"]
    return row


# -- one process, or idle ones ----------------------------------------------------------------------------------------


def run_enqueue(profile: Profile) -> Iterable[Row]:
    """Enqueue from processes that have just begun, while the workers stand still, and while they run."""
    with Wanimate(profile.limits, has_callbacks=True) as contender:
        for name, way, jobs, number in (
            ("submit_many, idle", "many", 3_000, signal.SIGSTOP),
            ("single calls", "single", 1_500, signal.SIGSTOP),
            ("submit_many, workers running", "many", 3_000, signal.SIGCONT),
        ):
            tell(name)
            contender.signal(number)
            seconds, cpu = sorted(_cold(contender.stack, way, jobs) for _ in range(3))[1]
            yield {"way": name, "jobs": jobs, "jobs_per_second": jobs / seconds, "jobs_per_cpu_second": jobs / cpu}


def _cold(stack: Stack, way: str, jobs: int) -> tuple[float, float]:
    # -P: beside it is a module that is called like the library.
    command = [sys.executable, "-P", str(Path(__file__).with_name("cold_producer.py")), way, str(jobs)]
    seconds, cpu = subprocess.check_output(command, env={**os.environ, **stack.environment}, text=True).split()
    return float(seconds), float(cpu)


def run_idle(profile: Profile) -> Iterable[Row]:
    """Watch a stack that has nothing to do, and ask it for a job's status from the shell."""
    options = StackOptions(workers=2, has_flower=False, has_callbacks=True, has_ops=True)
    with Stack(options) as stack, Client(Settings(redis_url=SecretStr(stack.redis.url))) as client:
        handle = client.submit(Load(jobs=1, cap=1, rate=1, speed=1).job(0))
        tell("wanimate status")
        # The first of them compiles.
        took = [_status(stack, handle.id) for _ in range(11)][1:]
        handle.wait(timeout=180)
        processes = {"beat": stack.beat, "receiver": stack.receiver, "ops": stack.ops}
        processes |= {f"worker {number}": worker for number, worker in enumerate(stack.workers, start=1)}
        pids = {name: [process.pid] for name, process in processes.items() if process is not None}
        pids["all"] = [pid for each in pids.values() for pid in each]
        tell(f"idle for {profile.idle_seconds:.0f} s")
        time.sleep(3)
        before = {name: gauge.cpu_seconds(each) for name, each in pids.items()}
        time.sleep(profile.idle_seconds)
        for name, each in pids.items():
            cpu_of_a_core = (gauge.cpu_seconds(each) - before[name]) / profile.idle_seconds
            row: Row = {"process": name, "cpu_of_a_core": cpu_of_a_core, "memory_mb": gauge.memory_mb(each)}
            if name == "all":
                row["status_ms"], row["status_cpu_ms"] = (median(each) * 1000 for each in zip(*took, strict=True))
            yield row


def _status(stack: Stack, job_id: str) -> tuple[float, float]:
    """Return how long `wanimate status` takes, and its CPU time, in seconds."""
    command = [str(Path(sys.executable).with_name("wanimate")), "status", job_id]
    environment = {**os.environ, **stack.environment, "PYTHONDONTWRITEBYTECODE": ""}
    before = os.times()
    seconds = _seconds(lambda: subprocess.run(command, env=environment, check=True, capture_output=True))
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, cpu


# -- a growing backlog ------------------------------------------------------------------------------------------------


def run_growth(profile: Profile) -> Iterable[Row]:
    """Fill the backlog up to each length and watch what goes on meanwhile."""
    load = Load(jobs=0, cap=100, rate=20_000, speed=10, is_mixed=False)
    with (
        Wanimate(load, has_callbacks=False) as contender,
        contender.client() as client,
        Redis.from_url(contender.redis_url) as redis,
    ):
        empty_bytes, waiting = gauge.dataset_bytes(redis), Keys("default").waiting
        for length in profile.growth_lengths:
            tell(f"{length:,} waiting")
            missing = length - int(redis.zcard(waiting)) + load.cap
            seconds = _seconds(lambda count=missing: client.submit_many(map(load.job, range(count))))  # type: ignore[misc]
            # On a machine that is too busy it goes on with what is recorded by then; the table says how much that is.
            with contextlib.suppress(TimeoutError):
                gauge.wait_until(lambda: not queue_lengths(redis)[ENTRY_QUEUE], 60 + missing * 0.002, "all recorded")
            recorded = int(redis.zcard(waiting))
            row = {
                "waiting": recorded,
                "enqueued_per_second": missing / seconds,
                "bytes_per_waiting_job": (gauge.dataset_bytes(redis) - empty_bytes) / max(recorded, 1),
            }
            known = judge.summary(contender.simulator_url)["accepted"]
            calls = [_seconds(lambda: client.submit(load.job(0))) for _ in range(30)]
            time.sleep(profile.growth_seconds)
            ended = [task for task in judge.tasks(contender.simulator_url, known) if task["first_told_at_ms"]]
            yield row | {
                "submit_call_ms": median(calls) * 1000,
                "late_ms": median(task["first_told_at_ms"] - task["completed_at_ms"] for task in ended),
                "largest_mb": max(gauge.memory_mb([worker.pid]) for worker in contender.stack.workers),
            }


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


# -- the list ---------------------------------------------------------------------------------------------------------


class Scenario(NamedTuple):
    """How a scenario is measured, which figures are shown, and in which profiles it needs not be named."""

    run: Callable[[Profile], Iterable[Row]]
    shown: str
    profiles: tuple[str, ...] = ("short", "full")


_COSTS = "cpu_ms_per_job redis_commands_per_job redis_bytes_per_job memory_mb machine_load"
_LATE = "late_mean late_bound late_p50 late_p99 late_ms"
_EVERYONE = (
    f"contender slot_use slot_use_bound 429_per_job makespan_ratio {_LATE} handover_ms polls_per_job {_COSTS} "
    "never_sent stranded paid_twice"
)
SCENARIOS = {
    "peers": Scenario(run_peers, _EVERYONE),
    "limits": Scenario(run_limits, _EVERYONE),
    "enqueue": Scenario(run_enqueue, "way jobs jobs_per_second jobs_per_cpu_second"),
    "throughput": Scenario(run_throughput, f"contender jobs_per_second polls_per_job {_COSTS}"),
    "idle": Scenario(run_idle, "process cpu_of_a_core memory_mb status_ms status_cpu_ms"),
    "faults": Scenario(
        run_faults, "fault contender jobs finished never_sent stranded unknown paid_twice above_cap makespan_ratio"
    ),
    "scale": Scenario(run_scale, _EVERYONE, ("full",)),
    "growth": Scenario(
        run_growth,
        "waiting enqueued_per_second bytes_per_waiting_job submit_call_ms late_ms largest_mb",
        ("full",),
    ),
    "copies": Scenario(
        run_copies,
        f"contender slot_use noticed_p50_ms noticed_p99_ms {_LATE} handover_ms copied copied_mb "
        f"mb_per_second_at_20_mb {_COSTS}",
        (),
    ),
    "plans": Scenario(
        run_plans, f"plan jobs slot_use slot_use_bound {_LATE} polls_per_job 429_per_job machine_load", ()
    ),
    "smoke": Scenario(run_smoke, _EVERYONE, ()),
}


def tell(what: str) -> None:
    """Print what is going on."""
    print(time.strftime("%H:%M:%S"), what, flush=True)
