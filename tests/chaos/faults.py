"""What goes wrong: each fault is one method, named for what it does, and undone before it returns."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from output_faults import DOWNLOAD_BACKGROUND, OutputFaults
from points import BEFORE_POST, POINTS, STANDSTILLS
from pydantic import SecretStr
from recovery import seconds_until_well
from redis.exceptions import RedisError
from wanimate.contract import Keys, Stage
from wanimate_devstack import SIMULATOR_KEY, redis_of
from wanimate_worker.database import open_database
from wanimate_worker.settings import WorkerSettings

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from rig import Rig
    from traffic import Traffic
    from wanimate_devstack import Process

#: No lease of a submission is longer, with the rig's time-outs, in seconds.
_LONGEST_LEASE_SECONDS = 30.0
#: Faults of the vendor that are on all the time: a little of everything that is wrong with a network.
BACKGROUND: dict[str, Any] = {
    "drop_answer_rate": 0.02,
    "drop_before_rate": 0.01,
    "bad_json_rate": 0.01,
    "error_5xx_rate": 0.01,
    "error_5xx_after_accept_rate": 0.005,
    "unavailable_rate": 0.01,
    "unknown_fields": True,
    "unknown_state_rate": 0.02,
    "malformed_body_rate": 0.005,
    "callback_missing_rate": 0.02,
    "callback_duplicate_rate": 0.05,
    "callback_hold_rate": 0.05,
    "callback_hold_seconds": 3.0,
    "callback_replay_rate": 0.05,
    "callback_forged_rate": 0.05,
    "callback_other_signature_rate": 0.05,
    "callback_premature_rate": 0.05,
    "callback_huge_rate": 0.005,
    **DOWNLOAD_BACKGROUND,
}

#: How often each kind comes, in relation to the others.
WEIGHTS: dict[str, int] = {
    "kill_worker": 3,
    **{f"kill_worker_between:{point}": 2 for point in POINTS},
    "stop_worker": 2,
    **{f"stop_worker_between:{point}": 1 for point in POINTS},
    **{f"freeze_worker_at:{point}": 1 for point in STANDSTILLS},
    "kill_beat": 2,
    "stop_beat": 1,
    "cut_connections": 2,
    "burst_of_5xx": 2,
    "burst_of_503": 1,
    "outage": 1,
    "drop_all_requests": 1,
    "refuse_connections": 2,
    "malformed_answers": 1,
    "slow_answers": 1,
    "throttle": 2,
    "share_the_key": 2,
    "forget_tasks": 1,
    "revoke_the_key": 1,
    "empty_the_account": 1,
    "refuse_submissions": 1,
}
#: Where Redis is one server with an append-only file.
ONE_SERVER_WEIGHTS: dict[str, int] = {"restart_redis": 1, "kill_redis": 2, "freeze_redis": 1}
#: Where Redis is a master and a replica that Sentinels watch.
SENTINEL_WEIGHTS: dict[str, int] = {"fail_over": 2, "freeze_master": 2}
#: Only where the vendor calls back.
CALLBACK_WEIGHTS: dict[str, int] = {"kill_receiver": 1, "late_callbacks": 2}


def weights_for(*, has_callbacks: bool, has_sentinel: bool) -> dict[str, int]:
    """Return the kinds of faults that a run can have, with how often each comes."""
    redis = SENTINEL_WEIGHTS if has_sentinel else ONE_SERVER_WEIGHTS
    return WEIGHTS | redis | (CALLBACK_WEIGHTS if has_callbacks else {})


class Faults(OutputFaults):
    """The faults of one run, drawn by its seed.

    Args:
        rig: What they strike.
        chance: The run's random numbers.
        traffic: What the callers enqueued and were told.
    """

    def __init__(self, rig: Rig, chance: random.Random, traffic: Traffic) -> None:
        super().__init__(rig, chance, traffic, VendorFaults(rig))
        self.struck: Counter[str] = Counter()
        self.recovery_seconds: dict[str, list[float]] = defaultdict(list)
        self._processes = threading.Lock()

    def strike(self, kinds: set[str], beside: set[str]) -> None:
        """Let faults happen, several at the same time, and wait until the queue is well again.

        Args:
            kinds: Names of methods, with the point where one is asked for: `kill_worker_between:claim-and-poll`.
            beside: The same, of faults that the recovery is not measured for.
        """
        self._rig.wait_until_ready()
        began = time.time()
        threads = [threading.Thread(target=self._happen, args=(kind,)) for kind in sorted(kinds | beside)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.replace_dead()
        recovered = seconds_until_well(self._rig, began)
        self.recovery_seconds[" + ".join(sorted(kind.replace("_", " ") for kind in kinds))].append(recovered)

    def _happen(self, kind: str) -> None:
        name, _, point = kind.partition(":")
        happened = getattr(self, name)(*filter(None, [point]))
        if happened is not False:
            self.struck[kind.replace("_", " ")] += 1

    def replace_dead(self) -> None:
        """Start what has ended again."""
        with self._processes:
            self._rig.replace_dead()

    # -- processes ----------------------------------------------------------------------------------------------

    def kill_worker(self) -> None:
        with self._processes:
            self._chance.choice(self._rig.running_workers()).kill()
        self._pause()
        self.replace_dead()

    def kill_worker_between(self, point: str) -> bool:
        return self._end_at(point, signal.SIGKILL)

    def stop_worker(self) -> None:
        with self._processes:
            self._chance.choice(self._rig.running_workers()).stop(timeout_seconds=30)
        self.replace_dead()

    def stop_worker_between(self, point: str) -> bool:
        return self._end_at(point, signal.SIGTERM)

    def freeze_worker_at(self, point: str) -> bool:
        """Let a worker stand still at a step of a submission until its lease has ended and the job is sent anew.

        The operator retries the job only where its request has surely not left: with an answer on its way it would
        rightly be paid twice.
        """
        frozen = self._frozen_at(point)
        if frozen is None:
            return False
        worker, job_id = frozen
        try:
            has_ended = _until(lambda: self._stage_of(job_id) != "submitting", _LONGEST_LEASE_SECONDS)
            if has_ended and point in BEFORE_POST:
                self._retry(job_id)
                _until(lambda: self._stage_of(job_id) not in {"waiting", "submitting"}, 5.0)
        finally:
            worker.signal(signal.SIGCONT)
        return has_ended

    def _frozen_at(self, point: str) -> tuple[Process, str] | None:
        """Tell the first worker that comes to a point to stand still, and return it and its job; None if none came."""
        token, taken = f"chaos:SIGSTOP:{point}", ""
        workers = {worker.pid: worker for worker in self._rig.running_workers()}
        try:
            with redis_of(self._rig.stack) as redis:
                redis.rpush(token, 1)
                _until(lambda: not redis.exists(token), 6.0)
                if not redis.delete(token):
                    taken = str((redis.blpop(["chaos:frozen"], 5) or ("", ""))[1])
        except RedisError:
            # Another fault at the same time. Whoever has taken the token must go on.
            for worker in workers.values():
                worker.signal(signal.SIGCONT)
        pid, _, job_id = taken.partition(" ")
        worker = workers.get(int(pid or 0))
        return (worker, job_id) if worker is not None and job_id else None

    def _stage_of(self, job_id: str) -> str:
        try:
            with redis_of(self._rig.stack) as redis:
                return str(redis.hget(Keys("default").job(job_id), "stage"))
        except RedisError:
            return "submitting"

    def _retry(self, job_id: str) -> None:
        """Do as an operator does with a lost submission, unless it is decided by now and its caller has been told."""
        settings = WorkerSettings(_env_file=None, redis_url=SecretStr(self._rig.stack.redis.url))  # type: ignore[call-arg]
        redis, ledger = open_database(settings)
        try:
            [job] = ledger.records.read([job_id])
            if job.stage is Stage.UNKNOWN:
                ledger.jobs.release(job_id, job.nonce, "retried by hand", may_be_billed=True, hint=job.hint or "")
        except RedisError:
            # Another fault at the same time: the operator is told so.
            pass
        finally:
            redis.close()

    def kill_beat(self) -> None:
        self._rig.beat.kill()
        self._pause()
        self.replace_dead()

    def stop_beat(self) -> None:
        self._rig.beat.stop()
        self.replace_dead()

    def kill_receiver(self) -> None:
        self._rig.receiver.kill()
        self._pause()
        self.replace_dead()

    def _end_at(self, point: str, how: signal.Signals) -> bool:
        """Tell the first worker that comes to a point to end there; False if none came by."""
        token = f"chaos:{how.name}:{point}"
        running = set(self._rig.running_workers())
        try:
            with redis_of(self._rig.stack) as redis:
                redis.rpush(token, 1)
                ended = _until(lambda: not all(worker.is_running for worker in running), 6.0)
                redis.delete(token)
        except RedisError:
            # Another fault at the same time.
            return False
        self._pause()
        self.replace_dead()
        return ended

    # -- Redis --------------------------------------------------------------------------------------------------

    def restart_redis(self) -> None:
        with self._processes:
            self._rig.redis_server.stop()
            self._pause()
            self._rig.redis_server.start()

    def kill_redis(self) -> None:
        with self._processes:
            self._rig.redis_process.kill()
            self._pause()
            self._rig.redis_server.start()

    def freeze_redis(self) -> None:
        with self._processes:
            self._rig.redis_process.signal(signal.SIGSTOP)
            time.sleep(self._rig.profile.freeze_seconds)
            self._rig.redis_process.signal(signal.SIGCONT)

    def fail_over(self) -> None:
        with self._processes:
            self._rig.replicated.fail_over()

    def freeze_master(self) -> None:
        with self._processes:
            replicated = self._rig.replicated
            replicated.thaw(replicated.freeze_master())

    def cut_connections(self) -> bool:
        try:
            with redis_of(self._rig.stack) as redis:
                redis.client_kill_filter(_type="normal", skipme=True)
                redis.client_kill_filter(_type="pubsub", skipme=True)
        except RedisError:
            return False
        return True

    # -- the vendor ---------------------------------------------------------------------------------------------

    def burst_of_5xx(self) -> None:
        self._vendor.during(1.0, error_5xx_rate=0.5)

    def burst_of_503(self) -> None:
        self._vendor.during(1.0, unavailable_rate=0.5)

    def outage(self) -> None:
        self._vendor.during(2.0, outage=True)

    def drop_all_requests(self) -> None:
        self._vendor.during(0.5, drop_before_rate=1.0)

    def refuse_connections(self) -> None:
        self._vendor.during(1.5, refuse_for_seconds=1.5)

    def malformed_answers(self) -> None:
        self._vendor.during(1.0, malformed_body_rate=0.3)

    def slow_answers(self) -> None:
        self._vendor.during(1.0, slow_rate=0.3, slow_ms=self._rig.submit_timeout_seconds * 2_000)

    def throttle(self) -> None:
        retry_after = self._chance.choice([None, "seconds", "http-date"])
        self._vendor.during(1.5, throttle_rate=0.5, retry_after=retry_after, retry_after_seconds=1)

    def share_the_key(self) -> None:
        self._vendor.during(2.0, concurrency_used_elsewhere=self._rig.profile.cap // 2)

    def forget_tasks(self) -> None:
        self._vendor.during(1.0, forget_rate=0.05)

    def revoke_the_key(self) -> None:
        self._vendor.during(2.0, revoked_keys=[SIMULATOR_KEY])

    def empty_the_account(self) -> None:
        self._vendor.during(2.0, out_of_credit=True)

    def refuse_submissions(self) -> None:
        self._vendor.during(2.0, **self._chance.choice([{"forbidden": True}, {"waf": True}]))

    def late_callbacks(self) -> None:
        # Two minutes of the vendor's time.
        self._vendor.during(2.0, callback_delay_seconds=120 / self._rig.speed)

    def _pause(self) -> None:
        time.sleep(self._chance.uniform(0.2, 1.5))


@dataclass
class VendorFaults:
    """The vendor's switches: the background, and whatever is wrong at the moment besides.

    Args:
        rig: The run.
    """

    rig: Rig
    _now: list[dict[str, Any]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def during(self, seconds: float, **faults: Any) -> None:
        """Switch faults on for a time."""
        self._set(self._now.append, faults)
        time.sleep(seconds)
        self._set(self._now.remove, faults)

    def _set(self, change: Callable[[dict[str, Any]], None], faults: dict[str, Any]) -> None:
        with self._lock:
            change(faults)
            merged = dict(BACKGROUND)
            for each in self._now:
                merged |= each
            self.rig.set_vendor_faults(**merged)
            # Acts once, whenever it is put.
            faults.pop("refuse_for_seconds", None)


def _until(condition: Callable[[], bool], within_seconds: float) -> bool:
    deadline = time.monotonic() + within_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
