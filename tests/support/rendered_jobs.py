"""Jobs whose videos are to be copied, in a ledger on a real server."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SecretStr
from wanimate.contract import Keys, Outcome, Result
from wanimate_worker.database import open_database
from wanimate_worker.engine.runtime import Runtime
from wanimate_worker.ledger import Entry, Submit
from wanimate_worker.settings import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_PATIENCE_SECONDS = 60.0
_DAY_MS = 86_400_000


def eventually(look: Callable[[], T], what: str) -> T:
    """Look until the answer is true, and return it."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (answer := look()):
        assert time.monotonic() < deadline, f"not within the deadline: {what}"
        time.sleep(0.01)
    return answer


class RenderedJobs:
    """Makes such jobs, and tells what became of them.

    Args:
        redis_url: An empty database.
        keep_url: The account's store.
        settings: Further settings.
    """

    def __init__(self, redis_url: str, keep_url: str | None, **settings: Any) -> None:
        self.settings = WorkerSettings(
            redis_url=SecretStr(redis_url), keep_url=keep_url, **{"max_in_flight": 1000, **settings}
        )
        self.runtime = self.new_runtime()
        self.redis, self.ledger = self.runtime.redis, self.runtime.ledger
        self.keys = Keys(self.settings.account)
        self.redis.flushdb()
        self.ledger.claim_database()
        self.ledger.limits.fill(self.settings.account_limits())

    def new_runtime(self) -> Runtime:
        """Return the runtime of a process of its own, without an engine."""
        runtime = Runtime(self.settings)
        runtime.redis, runtime.ledger = open_database(self.settings)
        return runtime

    def render(self, job_id: str, *urls: str, expires_in_ms: int = _DAY_MS) -> None:
        """Have the vendor finish a job, with videos at these URLs."""
        self.ledger.jobs.admit([Entry(job_id, 0, {}, {"type": "animate"})])
        submit = self.ledger.jobs.begin(job_id)
        assert isinstance(submit, Submit), submit
        assert self.ledger.jobs.accept(
            job_id, submit.nonce, task_id=f"task-{job_id}", first_poll_ms=_DAY_MS, begun_at_ms=submit.begun_at_ms
        )
        expires_at = datetime.fromtimestamp((self.now_ms() + expires_in_ms) / 1000, UTC)
        result = Result(urls=urls, task_id=f"task-{job_id}", urls_expire_at=expires_at)
        assert self.ledger.jobs.settle(job_id, submit.nonce, Outcome.success(result))
        assert self.stage(job_id) == "keeping"

    def now_ms(self) -> int:
        """Return the time of Redis."""
        seconds, micros = self.redis.time()  # type: ignore[misc]
        return int(seconds) * 1000 + int(micros) // 1000

    def stage(self, job_id: str) -> str | None:
        """Return where a job stands."""
        return self.redis.hget(self.keys.job(job_id), "stage")  # type: ignore[return-value]

    def result(self, job_id: str) -> Result | None:
        """Return a job's result; None while it is not settled."""
        outcome = self.redis.hget(self.keys.job(job_id), "outcome")
        return Outcome.model_validate_json(outcome).result if outcome else None  # type: ignore[arg-type]

    def settled(self, job_id: str) -> Result:
        """Wait until a job is settled, and return its result."""
        return eventually(lambda: self.result(job_id), f"{job_id} is settled")

    def why(self, job_id: str) -> str:
        """Wait until a copy has failed, and return why."""
        return eventually(lambda: str(self.redis.hget(self.keys.job(job_id), "keep_why") or ""), "a copy has failed")

    def end_waits(self) -> None:
        """Let the time pass until leases end and failed copies are tried again."""
        for member in self.redis.zrange(self.keys.keeping_later, 0, -1):  # type: ignore[union-attr]
            self.redis.zadd(self.keys.keeping_later, {member: 1}, xx=True)

    def offered(self) -> list[str]:
        """Return the jobs that were offered to workers for delivery."""
        return sorted(self.redis.lrange(self.keys.ready, 0, -1))  # type: ignore[arg-type]

    def close(self) -> None:
        """Close the connections."""
        self.redis.close()
