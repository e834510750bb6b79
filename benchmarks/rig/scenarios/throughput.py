"""`throughput`: one worker process and a vendor that limits nothing. `enqueue`: one producer and no worker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from wanimate import Client
from wanimate.settings import Settings
from wanimate_devstack import RedisServer
from wanimate_worker.database import open_database
from wanimate_worker.settings import WorkerSettings

from rig import gauge, trial
from rig.wanimate import Wanimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from rig.profile import Profile


def run_throughput(profile: Profile, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Run jobs that are over almost at once."""
    rows = []
    for has_callbacks in (False, True):
        contender = Wanimate(profile.throughput, has_callbacks=has_callbacks)
        tell(contender.name)
        with contender:
            worker_cpu = gauge.cpu_seconds(contender.worker_pids())
            figures = trial.run(contender)
            worker_cpu = gauge.cpu_seconds(contender.worker_pids()) - worker_cpu
            busy_seconds = figures["seconds"] - figures["enqueue_seconds"]
            rows.append(
                {
                    **figures,
                    "jobs_per_second": figures["finished"] / busy_seconds,
                    "worker_cores": worker_cpu / busy_seconds,
                    "worker_cpu_ms_per_job": worker_cpu / figures["jobs"] * 1000,
                }
            )
    return rows


def run_enqueue(profile: Profile, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Enqueue from one process, in one thread."""
    load = profile.throughput
    rows = []
    with RedisServer() as server, Client(Settings(redis_url=SecretStr(server.url))) as client:
        # As the first worker does when it starts: until then clients look at each call whose database it is.
        open_database(WorkerSettings(redis_url=SecretStr(server.url))).ledger.claim_database()
        client.submit(load.job(0))
        for way, count in (("single calls", profile.enqueue_single), ("submit_many", profile.enqueue_many)):
            tell(way)
            jobs = [load.job(number) for number in range(count)]
            began, cpu = time.perf_counter(), time.process_time()
            if way == "single calls":
                for job in jobs:
                    client.submit(job)
            else:
                client.submit_many(jobs)
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            rows.append(
                {
                    "way": way,
                    "jobs": count,
                    "jobs_per_second": count / seconds,
                    "cpu_ms_per_job": cpu / count * 1000,
                    # What the rate would be if the process had a core of its own and Redis kept up.
                    "jobs_per_cpu_second": count / cpu,
                }
            )
    return rows
