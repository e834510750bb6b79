"""What goes wrong after the vendor's end of a task: downloads, the store, receivers of webhooks, readers of events."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from points import CONSUMER_POINTS, OUTPUT_POINTS
from redis.exceptions import RedisError
from wanimate import ContentViolation, GenerationFailed
from wanimate_devstack import redis_of

if TYPE_CHECKING:
    import random

    from faults import VendorFaults
    from rig import Rig
    from traffic import Traffic

#: How often each kind comes, in relation to the others; one comes beside each other strike.
OUTPUT_WEIGHTS: dict[str, int] = {
    **{f"kill_worker_between:{point}": 1 for point in OUTPUT_POINTS},
    **{f"kill_consumer_between:{point}": 1 for point in CONSUMER_POINTS},
    "kill_consumer": 1,
    **{f"webhooks_fail:{kind}": 1 for kind in ("500", "hang", "cut", "answer lost", "gone")},
    **{f"store_fails:{kind}": 1 for kind in ("down", "slow", "full", "cut", "answer lost")},
    **{f"downloads_fail:{kind}": 1 for kind in ("cut", "truncated", "wrong_body", "slow", "error")},
    "retry_failed_jobs": 2,
}
#: A little of each, all the time.
DOWNLOAD_BACKGROUND: dict[str, Any] = {
    "download_cut_rate": 0.01,
    "download_truncated_rate": 0.01,
    "download_wrong_body_rate": 0.01,
    "download_error_rate": 0.01,
    "download_slow_rate": 0.01,
    "download_bytes_per_second": 40_000,
}
_SECONDS = 2.0
_RETRIED_AT_ONCE = 3


class OutputFaults:
    """The faults of outputs; `Faults` has the others.

    Args:
        rig: What they strike.
        chance: The run's random numbers.
        traffic: What the callers enqueued and were told.
        vendor: Its switches.
    """

    def __init__(self, rig: Rig, chance: random.Random, traffic: Traffic, vendor: VendorFaults) -> None:
        self._rig = rig
        self._chance = chance
        self._traffic = traffic
        self._vendor = vendor
        #: How often jobs, by their numbers, were retried by hand, or may have been.
        self.retried: Counter[int] = Counter()

    def webhooks_fail(self, kind: str) -> None:
        with self._chance.choice(self._rig.receivers).failing(kind):
            time.sleep(_SECONDS)

    def store_fails(self, kind: str) -> None:
        with self._rig.store.failing(kind):
            time.sleep(_SECONDS)

    def downloads_fail(self, kind: str) -> None:
        self._vendor.during(_SECONDS, **{f"download_{kind}_rate": 0.8})

    def kill_consumer(self) -> None:
        self._rig.consumer.kill()
        self._rig.start_consumer()

    def kill_consumer_between(self, point: str) -> bool:
        """Tell the reader of events to die at a point; False if it did not come there in time."""
        token, deadline = f"chaos:SIGKILL:{point}", time.monotonic() + 6.0
        try:
            with redis_of(self._rig.stack) as redis:
                redis.rpush(token, 1)
                while self._rig.consumer.is_running and time.monotonic() < deadline:
                    time.sleep(0.05)
                redis.delete(token)
        except RedisError:
            # Another fault at the same time.
            return False
        if self._rig.consumer.is_running:
            return False
        self._rig.start_consumer()
        return True

    def retry_failed_jobs(self) -> bool:
        """Run failed jobs again as an operator does, so that they end twice, while receivers may fail."""
        outcomes = dict(self._traffic.outcomes)
        failed = [
            number
            for number, outcome in outcomes.items()
            if isinstance(outcome, (ContentViolation, GenerationFailed)) and number not in self.retried
        ][-_RETRIED_AT_ONCE:]
        if not failed:
            return False
        ids = [self._traffic.job_ids[number] for number in failed]
        self.retried.update(failed)
        with self._chance.choice(self._rig.receivers).failing("500"):
            subprocess.run(
                [sys.executable, "-m", "wanimate_worker.cli", "retry", *ids],
                env=self._rig.environment,
                capture_output=True,
                timeout=30,
                check=False,
            )
        return True
