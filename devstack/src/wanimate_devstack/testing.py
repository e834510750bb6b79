"""A fast stack for tests, and its initial state, which each test begins with."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from wanimate.contract import UNACKED_KEY, Keys
from wanimate.errors import WanimateError
from wanimate_worker.queues import queue_lengths

from .processes import ProcessFailed
from .stack import StackOptions, redis_of

if TYPE_CHECKING:
    from .simulator import Simulator
    from .stack import Stack

#: Slots of the simulated vendor, and how many of its seconds pass in one.
_CAP: Final = "10"
_SPEED: Final = "100"
_ACCOUNT: Final = "default"
OPTIONS: Final = StackOptions(
    has_flower=False,
    is_isolated=True,
    simulator={"cap": _CAP, "speed": _SPEED},
    settings={
        "WANIMATE_ACCOUNT": _ACCOUNT,
        "WANIMATE_MAX_IN_FLIGHT": _CAP,
        "WANIMATE_POLL_TICK_SECONDS": "0.1",
        "WANIMATE_POLL_FLOOR_SECONDS": "0.1",
        "WANIMATE_LEASE_SECONDS": "3",
        "WANIMATE_PROBE_INTERVAL_SECONDS": "0.2",
        "WANIMATE_SUBMIT_TIMEOUT_SECONDS": "3",
        "WANIMATE_UNKNOWN_AFTER_SECONDS": "1",
        "WANIMATE_WEBHOOK_SECRET": "whsec_dGhlLXNlY3JldC1vZi10ZXN0cy1vbi1vbmUtbWFjaGluZQ==",
        "WANIMATE_WEBHOOK_NETWORKS": "127.0.0.0/8,::1/128",
    },
)
#: How long jobs of an earlier test may take to end, in seconds, and how often they are counted meanwhile.
_PATIENCE_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.05


class JobsRemain(WanimateError):
    """Jobs of an earlier test have not ended."""


class InitialState:
    """Puts a stack back to how it was when this was made: no jobs, events, webhooks, faults or changed limits.

    Args:
        stack: A stack that has started.
        simulator: Its simulator.
    """

    def __init__(self, stack: Stack, simulator: Simulator) -> None:
        self._stack, self._simulator = stack, simulator
        self._keys = Keys(stack.environment.get("WANIMATE_ACCOUNT", _ACCOUNT))
        with redis_of(stack) as redis:
            self._account: dict[str, str] = redis.hgetall(self._keys.account)

    def restore(self) -> None:
        """Wait until every job has ended, then forget all of them.

        Raises:
            JobsRemain: A job has not ended in time.
            ProcessFailed: A process of the stack does not run any more.
        """
        if ended := self._stack.ended():
            raise ProcessFailed(f"{ended.name} ended with exit code {ended.exit_code}:\n{ended.log_tail()}")
        self._simulator.set_faults()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while remaining := self._remaining():
            if time.monotonic() > deadline:
                raise JobsRemain(
                    f"jobs of an earlier test have not ended within {_PATIENCE_SECONDS:.0f} s "
                    f"({', '.join(remaining)}): wait for them, or cancel them, in the test that enqueues them"
                )
            time.sleep(_PAUSE_SECONDS)
        with redis_of(self._stack) as redis:
            kept = {self._keys.account, self._keys.tick}
            found = [*redis.scan_iter(f"{self._keys.prefix}*"), *redis.scan_iter("celery-task-meta-*")]
            with redis.pipeline(transaction=True) as pipeline:
                pipeline.delete(self._keys.account, *(key for key in found if key not in kept))
                pipeline.hset(self._keys.account, mapping=self._account)
                pipeline.execute()
        self._simulator.reset()

    def _remaining(self) -> list[str]:
        """Return what is not done yet, in words."""
        keys = self._keys
        with redis_of(self._stack) as redis:
            counts = {
                "messages in queues": sum(queue_lengths(redis).values()) + redis.hlen(UNACKED_KEY),
                "jobs without a slot": redis.zcard(keys.waiting) + redis.zcard(keys.parked),
                "jobs to check": redis.zcard(keys.due),
                "videos to copy": redis.zcard(keys.keeping),
            }
        return [f"{count} {what}" for what, count in counts.items() if count]
