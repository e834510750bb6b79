"""What is stored about jobs of some labels, to be deleted for good."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
from wanimate.contract import Outcome, Stage

from .outbox import Delivery, Outbox
from .script import Concern, script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_READ_SIZE: Final = 500
_FIELDS: Final = ("request", "stage", "leader", "celery_id", "outcome")


@dataclass(slots=True)
class Traces:
    """What is stored about one job.

    Args:
        stage: The stage of its record; None if that has expired.
        result_id: The Celery task under which its result is stored.
        videos: The URLs of its copied videos.
        event_ids: Its events that can still be read.
        webhooks: Those that are not delivered.
        dead_letters: Messages that name it and could not be used, as they are stored.
    """

    job_id: str
    stage: Stage | None = None
    result_id: str = ""
    videos: set[str] = field(default_factory=set)
    event_ids: list[str] = field(default_factory=list)
    webhooks: list[Delivery] = field(default_factory=list)
    dead_letters: list[str] = field(default_factory=list)

    @property
    def is_at_work(self) -> bool:
        """Whether it has not ended, or its outcome is not delivered."""
        return self.stage not in {None, Stage.DELIVERED}


class Erasing(Concern):
    """Deletes what is stored about jobs."""

    def find(self, labels: Mapping[str, str]) -> list[Traces]:
        """Find all that is stored about the jobs that have these labels, and about their further callers.

        It reads every record and every event of the account.
        """
        found = {traces.job_id: traces for traces in self._records(lambda asked: _has(asked, labels))}
        for event_id, fields in self._events():
            traces = found.get(fields["job_id"])
            if traces is None and _has(fields.get("request"), labels):
                traces = found[fields["job_id"]] = Traces(fields["job_id"], result_id=fields["job_id"])
            if traces is not None:
                traces.event_ids.append(event_id)
                traces.videos |= _videos(fields["outcome"])
        for event_id, content in self._redis.hscan_iter(self._keys.deliveries, count=_READ_SIZE):
            delivery = Delivery.read(event_id, content)
            traces = found.get(delivery.job_id)
            if traces is None and _has(delivery.fields.get("request"), labels):
                traces = found[delivery.job_id] = Traces(delivery.job_id, result_id=delivery.job_id)
            if traces is not None:
                traces.webhooks.append(delivery)
                traces.videos |= _videos(delivery.fields["outcome"])
        for stored in cast("list[str]", self._redis.lrange(self._keys.dead, 0, -1)):
            if traces := found.get(str(orjson.loads(stored.partition(" ")[2]).get("id"))):
                traces.dead_letters.append(stored)
        return list(found.values())

    def _records(self, is_meant: Callable[[str | None], bool]) -> Iterator[Traces]:
        meant: set[str] = set()
        followers: list[tuple[str, Traces]] = []
        for job_id, (request, stage, leader, celery_id, outcome) in self._rows():
            videos = set() if leader else _videos(outcome)
            traces = Traces(job_id, Stage(stage) if stage else None, celery_id or job_id, videos)
            if is_meant(request):
                meant.add(job_id)
                yield traces
            elif leader:
                followers.append((leader, traces))
        yield from (traces for leader, traces in followers if leader in meant)

    def _rows(self) -> Iterator[tuple[str, list[str | None]]]:
        prefix, names = self._keys.job(""), []
        for name in self._redis.scan_iter(f"{prefix}*", count=_READ_SIZE, _type="hash"):
            names.append(name)
            if len(names) == _READ_SIZE:
                yield from self._read(names, prefix)
                names = []
        yield from self._read(names, prefix)

    def _read(self, names: list[str], prefix: str) -> Iterator[tuple[str, list[str | None]]]:
        with self._redis.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.hmget(name, *_FIELDS)
            rows = pipeline.execute() if names else []
        # A scan may name a key twice.
        unique = dict(zip(names, rows, strict=True))
        yield from ((name.removeprefix(prefix), row) for name, row in unique.items())

    def _events(self) -> Iterator[tuple[str, dict[str, str]]]:
        after = "-"
        while page := cast("Any", self._redis.xrange(self._keys.events, after, "+", count=_READ_SIZE)):
            yield from page
            after = f"({page[-1][0]}"

    def delete(self, traces: Traces, result_key: str) -> bool:
        """Delete what is stored about a job, the record last; False if it runs again meanwhile.

        Its videos are not in Redis: the caller deletes them before this, for the record tells where they are.

        Args:
            result_key: Where Celery keeps its result.
        """
        [stage] = self._field_of([traces.job_id], "stage")
        if stage not in {None, Stage.DELIVERED.value}:
            return False
        outbox = Outbox(self._context)
        for delivery in traces.webhooks:
            outbox.forget(delivery)
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.delete(result_key)
            if traces.event_ids:
                pipeline.xdel(self._keys.events, *traces.event_ids)
            for stored in traces.dead_letters:
                pipeline.lrem(self._keys.dead, 1, stored)
            pipeline.execute()
        return self._erase(traces.job_id)

    @script(bool)
    def _erase(self, job_id: str) -> bool: ...


def _has(request: str | None, labels: Mapping[str, str]) -> bool:
    """Whether a request, as JSON, has all of these labels."""
    found = (orjson.loads(request) if request else {}).get("labels") or {}
    return isinstance(found, dict) and all(found.get(name) == value for name, value in labels.items())


def _videos(outcome: str | None) -> set[str]:
    result = Outcome.model_validate_json(outcome).result if outcome else None
    return set() if result is None else {file.url for file in result.files}
