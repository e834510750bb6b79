"""What goes wrong: each fault is one method, named for what it does, and undone before it returns."""

from __future__ import annotations

import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from points import POINTS
from redis.exceptions import RedisError
from wanimate_worker.local.stack import SIMULATOR_KEY, redis_of

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from rig import Rig

#: Faults of the vendor that are on all the time: a little of everything that is wrong with a network.
BACKGROUND: dict[str, Any] = {
    "drop_answer_rate": 0.02,
    "drop_before_rate": 0.01,
    "bad_json_rate": 0.01,
    "error_5xx_rate": 0.01,
    "unknown_fields": True,
    "unknown_state_rate": 0.02,
    "callback_missing_rate": 0.02,
    "callback_duplicate_rate": 0.05,
}


@dataclass
class Faults:
    """The faults of one run, drawn by its seed.

    Args:
        rig: What they strike.
        chance: The run's random numbers.
        freeze_seconds: How long Redis is frozen.
    """

    rig: Rig
    chance: random.Random
    freeze_seconds: float
    struck: Counter[str] = field(default_factory=Counter)

    def strike(self) -> None:
        """Let one fault happen."""
        kinds: list[tuple[Callable[[], None], int]] = [
            (self.kill_worker, 4),
            (self.kill_worker_at_a_point, 8),
            (self.stop_worker, 2),
            (self.kill_beat, 1),
            (self.restart_redis, 1),
            (self.freeze_redis, 1),
            (self.cut_connections, 2),
            (self.burst_of_5xx, 2),
            (self.outage, 1),
            (self.refuse_connections, 1),
            (self.slow_answers, 1),
            (self.throttle, 2),
            (self.share_the_key, 1),
            (self.revoke_the_key, 1),
        ]
        fault = self.chance.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]
        fault()

    # -- processes ----------------------------------------------------------------------------------------------

    def kill_worker(self) -> None:
        self.struck["SIGKILL of a worker"] += 1
        self.chance.choice(self.rig.running_workers()).kill()
        self._pause()
        self.rig.replace_dead_workers()

    def kill_worker_at_a_point(self) -> None:
        point = self.chance.choice(POINTS)
        with redis_of(self.rig.stack) as redis:
            alive = len(self.rig.running_workers())
            redis.rpush(f"chaos:kill:{point}", 1)
            died = self._until(lambda: len(self.rig.running_workers()) < alive, 5.0)
            redis.delete(f"chaos:kill:{point}")
        if died:
            self.struck[f"SIGKILL: {point.replace('-', ' ')}"] += 1
        self._pause()
        self.rig.replace_dead_workers()

    def stop_worker(self) -> None:
        self.struck["SIGTERM of a worker"] += 1
        self.chance.choice(self.rig.running_workers()).stop(timeout_seconds=30)
        self.rig.replace_dead_workers()

    def kill_beat(self) -> None:
        self.struck["SIGKILL of beat"] += 1
        beat = self.rig.stack.beat
        assert beat is not None
        beat.kill()
        self._pause()
        self.rig.stack.start_beat()

    # -- Redis --------------------------------------------------------------------------------------------------

    def restart_redis(self) -> None:
        self.struck["restart of Redis"] += 1
        self.rig.stack.redis.stop()
        self._pause()
        self.rig.stack.redis.start()

    def freeze_redis(self) -> None:
        self.struck["freeze of Redis"] += 1
        process = self.rig.stack.redis.process
        assert process is not None
        process.signal(signal.SIGSTOP)
        time.sleep(self.freeze_seconds)
        process.signal(signal.SIGCONT)

    def cut_connections(self) -> None:
        self.struck["all connections cut"] += 1
        try:
            with redis_of(self.rig.stack) as redis:
                redis.client_kill_filter(_type="normal", skipme=True)
                redis.client_kill_filter(_type="pubsub", skipme=True)
        except RedisError:
            pass

    # -- the vendor ---------------------------------------------------------------------------------------------

    def burst_of_5xx(self) -> None:
        self.struck["burst of 5xx"] += 1
        self._vendor_for(1.0, error_5xx_rate=0.5)

    def outage(self) -> None:
        self.struck["outage of the vendor"] += 1
        self._vendor_for(2.0, outage=True)

    def refuse_connections(self) -> None:
        self.struck["connections dropped"] += 1
        self._vendor_for(1.0, drop_before_rate=1.0)

    def slow_answers(self) -> None:
        self.struck["answers past the time-out"] += 1
        self._vendor_for(1.0, slow_rate=0.3, slow_ms=4_000)

    def throttle(self) -> None:
        retry_after = self.chance.choice([None, "seconds", "http-date"])
        self.struck["storm of 429"] += 1
        self._vendor_for(1.5, throttle_rate=0.5, retry_after=retry_after, retry_after_seconds=1)

    def share_the_key(self) -> None:
        self.struck["others use the key"] += 1
        self._vendor_for(2.0, concurrency_used_elsewhere=self.rig.profile.cap // 2)

    def revoke_the_key(self) -> None:
        self.struck["key revoked"] += 1
        self._vendor_for(2.0, revoked_keys=[SIMULATOR_KEY])

    # -- helpers ------------------------------------------------------------------------------------------------

    def _vendor_for(self, seconds: float, **faults: Any) -> None:
        self.rig.set_vendor_faults(**{**BACKGROUND, **faults})
        time.sleep(seconds)
        self.rig.set_vendor_faults(**BACKGROUND)

    def _pause(self) -> None:
        time.sleep(self.chance.uniform(0.2, 1.5))

    @staticmethod
    def _until(condition: Callable[[], bool], within_seconds: float) -> bool:
        deadline = time.monotonic() + within_seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


def vendor_http(url: str) -> httpx.Client:
    """Return a connection to the simulator's switches and ground truth."""
    return httpx.Client(base_url=f"{url}/simulator", trust_env=False, timeout=30)
