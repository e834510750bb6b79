"""The records of jobs as they are read: what workers act on, what operators see, and what happened when and why."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
from kombu.utils.json import loads
from wanimate.contract import Stage
from wanimate.redis.presence import find_jobs

from .script import Concern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from wanimate.redis.presence import Presence

#: Records read in one exchange.
_READ_SIZE: Final = 500


@dataclass(frozen=True, slots=True)
class JobFields:
    """The part of a job's hash that workers act on.

    Args:
        stage: Its stored stage; None if the hash is gone.
        nonce: Its current attempt.
        attempts: How many times it was submitted.
        task_id: The vendor's task id.
        submitted_at_ms: When the vendor accepted it.
        message: What is kept of its Celery message.
        request: The keyword arguments of its task.
        unknown_why: Why the answer of its submission was lost.
        begun_at_ms: When its current attempt began.
        unknown_until_ms: When a lost submission is decided.
        hint: The task id that a callback or an odd answer named; it is not checked yet.
        hint_by: `answer` if the hint is from the answer to the submission; None if from a callback.
        deadline_at_ms: Until when the job may end; None for any time.
        waiting_at_ms: When it was recorded.
        unreadable_why: Why the last answer about its task could not be read; None if it could.
        leader: The job whose outcome it gets, if it is one more caller of that; else None.
        celery_id: The Celery task under which its result is stored; None for the job's own.
        retries: How often it was retried because its task had failed with a transient code.
        transient_code: The last such code.
        transient_task: The task that ended so.
    """

    job_id: str
    stage: Stage | None = None
    nonce: str = ""
    attempts: int = 0
    task_id: str | None = None
    submitted_at_ms: int | None = None
    message: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    unknown_why: str = ""
    begun_at_ms: int | None = None
    unknown_until_ms: int | None = None
    hint: str | None = None
    hint_by: str | None = None
    deadline_at_ms: int | None = None
    waiting_at_ms: int | None = None
    unreadable_why: str | None = None
    leader: str | None = None
    celery_id: str | None = None
    retries: int = 0
    transient_code: str | None = None
    transient_task: str | None = None

    @property
    def asks_about(self) -> str | None:
        """The vendor's task to poll, which is only a hint while the answer is lost; None if none."""
        if self.stage is Stage.RUNNING:
            return self.task_id or ""
        return self.hint if self.stage is Stage.UNKNOWN else None

    @property
    def result_id(self) -> str:
        """The Celery task under which its result is stored."""
        return self.celery_id or self.job_id

    @classmethod
    def of(cls, job_id: str, names: Sequence[str], values: Sequence[str | None]) -> JobFields:
        """Build from some hash fields; what is missing or empty is left out."""
        stored = {name: value for name, value in zip(names, values, strict=True) if value}
        return cls(job_id, **{name: _PARSED_BY.get(name, str)(value) for name, value in stored.items()})


_FIELDS: Final = tuple(each.name for each in fields(JobFields) if each.name != "job_id")
#: What is not text in a job's hash.
_PARSED_BY: Final[Mapping[str, Callable[[str], Any]]] = {
    "stage": Stage,
    "message": loads,
    "request": orjson.loads,
    **dict.fromkeys(("attempts", "submitted_at_ms", "begun_at_ms", "unknown_until_ms"), int),
    **dict.fromkeys(("deadline_at_ms", "waiting_at_ms", "retries"), int),
}


@dataclass(frozen=True, slots=True)
class JobRecord:
    """Everything that is stored about one job at one moment.

    Args:
        fields: Its hash, empty if it has none.
        rank: Its zero-based place among the waiting jobs; None if it is not one of them.
        slot_since_ms: Since when it holds a slot, in Redis time; None if it holds none.
        parked_until_ms: When it is waiting for a slot again, in Redis time; None if it is not parked.
    """

    job_id: str
    fields: Mapping[str, str]
    rank: int | None
    slot_since_ms: int | None
    parked_until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of a job's stage.

    Args:
        stage: The stage it came to.
        cause: Why: the attempt, the vendor's task, the error, or who did it.
    """

    at_ms: int
    stage: str
    cause: str


def read_history(fields: Mapping[str, str]) -> list[Transition]:
    """Return the transitions in a job's hash, the oldest first: its first, and the last fifty of the others."""
    recorded = fields.get("waiting_at_ms")
    history = [Transition(int(recorded), "waiting", "recorded")] if recorded else []
    for line in filter(None, (fields.get("history") or "").split("\n")):
        at_ms, stage, cause = line.split(" ", 2)
        history.append(Transition(int(at_ms), stage, cause))
    return history


class Records(Concern):
    """What is only read."""

    def read(self, job_ids: Sequence[str]) -> list[JobFields]:
        """Return what workers act on, for each job in one round trip."""
        if not job_ids:
            return []
        with self._redis.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hmget(self._keys.job(job_id), *_FIELDS)
            rows = cast("list[list[str | None]]", pipeline.execute())
        return [JobFields.of(job_id, _FIELDS, row) for job_id, row in zip(job_ids, rows, strict=True)]

    def unsent(self) -> Iterator[tuple[str, str]]:
        """Read the jobs that wait or have a slot, each with its message, as it is stored.

        None that waits all the while is left out: one that gets a slot meanwhile is read with the slots.
        """
        # In the order in which jobs go on, and in scans: pages would shift when jobs leave.
        for names in (self._keys.parked, self._keys.waiting, self._keys.slots):
            job_ids = [job_id for job_id, _ in self._redis.zscan_iter(names, count=_READ_SIZE)]
            for start in range(0, len(job_ids), _READ_SIZE):
                batch = job_ids[start : start + _READ_SIZE]
                messages = zip(batch, self._field_of(batch, "message"), strict=True)
                yield from ((job_id, message) for job_id, message in messages if message)

    def presence(self, job_id: str) -> Presence:
        """Return whether there is anything of a job, be it only a message that no worker has recorded."""
        return find_jobs(self._redis, self._keys, [job_id])[job_id]

    def in_flight(self) -> int:
        """Return how many slots are held."""
        return int(self._redis.zcard(self._keys.slots))

    def waiting(self) -> int:
        """Return how many jobs wait, for a slot or parked."""
        return int(self._redis.zcard(self._keys.waiting)) + self.parked()

    def parked(self) -> int:
        """Return how many jobs wait for their next attempt."""
        return int(self._redis.zcard(self._keys.parked))

    def whole(self, job_ids: Sequence[str]) -> list[JobRecord]:
        """Return everything that is stored about jobs, in one round trip."""
        keys = self._keys
        with self._redis.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hgetall(keys.job(job_id))
                pipeline.zrank(keys.waiting, job_id)
                pipeline.zscore(keys.slots, job_id)
                pipeline.zscore(keys.parked, job_id)
            rows = pipeline.execute() if job_ids else []
        return [
            JobRecord(job_id, rows[at], rows[at + 1], _moment(rows[at + 2]), _moment(rows[at + 3]))
            for at, job_id in zip(range(0, len(rows), 4), job_ids, strict=True)
        ]

    def now_ms(self) -> int:
        """Return the server's time, Unix ms."""
        return self._now_ms()

    def page(self, name: str, start: int, count: int) -> list[str]:
        """Return part of the jobs that wait, are parked, hold a slot, are being kept, or failed, in their order.

        Args:
            name: `waiting`, `parked`, `slots`, `keeping`, `copying` (a copy is under way, or has failed) or `failed`.
            start: How many to pass over.
            count: How many to return.
        """
        keys = self._keys
        if name == "copying":
            members = cast("list[str]", self._redis.zrange(keys.keeping_later, start, start + count - 1))
            return [member.split(" ", 1)[1] for member in members]
        key = {
            "waiting": keys.waiting,
            "parked": keys.parked,
            "slots": keys.slots,
            "keeping": keys.keeping,
            "failed": keys.failed,
        }[name]
        return list(cast("list[str]", self._redis.zrange(key, start, start + count - 1)))

    def ended(self, count: int) -> Iterator[list[str]]:
        """Yield the jobs of the stream of events, which is bounded, page by page, the last to end first."""
        before = "+"
        while page := cast("Any", self._redis.xrevrange(self._keys.events, before, "-", count=count)):
            yield [fields["job_id"] for _, fields in page]
            before = f"({page[-1][0]}"

    def undelivered(self) -> int:
        """Return how many outcomes are on their way to their callers."""
        job_ids = cast("list[str]", self._redis.zrange(self._keys.due, 0, -1))
        return self._field_of(job_ids, "stage").count(Stage.SETTLED.value)


def _moment(score: float | None) -> int | None:
    return None if score is None else int(score)
