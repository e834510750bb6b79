"""Whether every end was told, once and rightly, and every video kept as the vendor has it."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from consumer import events_in
from wanimate import Result
from wanimate.contract import Event, Keys
from wanimate_devstack import redis_of

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from outside import Receipt
    from rig import Rig
    from traffic import Outcome, Traffic

#: How long the reader of events may take to come to the last one, in seconds.
_READING_SECONDS = 30.0


@dataclass
class Told:
    """What became of the ends of jobs.

    Args:
        corrupt: Videos whose copy is not what the vendor has, or is not as the result says.
        not_told: Ends that no event, no webhook or no reader of events told of.
        told_wrongly: Events and webhooks that say something else than the outcome, or came out of order.
        figures: How many there were.
        why: What was found, for whoever wants to know.
    """

    corrupt: int = 0
    not_told: int = 0
    told_wrongly: int = 0
    figures: dict[str, int] = field(default_factory=dict)
    why: list[str] = field(default_factory=list)

    def note(self, kind: str, why: str) -> None:
        """Count something that must not be."""
        setattr(self, kind, getattr(self, kind) + 1)
        self.why.append(f"{kind}: {why}")


def judge_outputs(rig: Rig, traffic: Traffic, retried: Counter[int]) -> Told:
    """Compare events, webhooks and copies with outcomes and the vendor's videos.

    Args:
        rig: The stack, idle again.
        traffic: What the callers enqueued and were told.
        retried: How often jobs, by their numbers, were run again by hand.
    """
    told, events = Told(), _written_events(rig)
    _judge_reader(told, rig, events)
    receipts = [receipt for receiver in rig.receivers for receipt in receiver.receipts]
    _judge_webhooks(told, rig, events, receipts, {job_id: number for number, job_id in traffic.job_ids.items()})
    _judge_order(told, rig, events)
    of_job: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        of_job[event.job_id].append(event)
    for number, job_id in traffic.job_ids.items():
        _judge_job(told, traffic.outcomes.get(number), of_job[job_id], retried[number])
    _judge_videos(told, rig, traffic)
    acknowledged = {receipt.event_id for receipt in receipts if receipt.is_acknowledged}
    told.figures = {
        "events": len(events),
        "webhooks": len(receipts),
        "of them acknowledged": len(acknowledged),
        "jobs ended twice": sum(len(each) > 1 for each in of_job.values()),
        "videos kept": sum(isinstance(outcome, Result) for outcome in traffic.outcomes.values()),
        "writes to the store": rig.store.writes,
    }
    return told


def _written_events(rig: Rig) -> list[Event]:
    with redis_of(rig.stack) as redis:
        entries = cast("list[tuple[str, dict[str, str]]]", redis.xrange(Keys("default").events))
    return [Event.read(event_id, fields) for event_id, fields in entries]


def _judge_reader(told: Told, rig: Rig, events: Sequence[Event]) -> None:
    """Its notes are the stream: each event once, in order. A failover may take back what it has read before."""
    deadline = time.monotonic() + _READING_SECONDS
    while (read := events_in(rig.events_path))[-1:] != list(events[-1:]):
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    written = {event.id: event for event in events}
    for event_id in written.keys() - {event.id for event in read}:
        told.note("not_told", f"the reader has not read {event_id}")
    ids = [event.id for event in read if event.id in written]
    if ids != [event_id for event_id in written if event_id in set(ids)]:
        told.note("told_wrongly", "the reader has read events twice or out of order")
    for event in read:
        is_taken_back = rig.has_sentinel and event.id not in written
        if not is_taken_back and written.get(event.id) != event:
            told.note("told_wrongly", f"the reader has read {event.id} otherwise")


def _judge_webhooks(
    told: Told, rig: Rig, events: Sequence[Event], receipts: Sequence[Receipt], numbers: dict[str, int]
) -> None:
    written, received = {event.id: event for event in events}, set[str]()
    for receipt in receipts:
        event = receipt.event
        if event is None:
            told.note("told_wrongly", f"the webhook {receipt.event_id} has a wrong signature or content")
            continue
        received.add(event.id)
        number = numbers.get(event.job_id, -1)
        path = f"/{number}" if number % 4 == 0 else "/account"
        if event.id not in written:
            if not rig.has_sentinel:
                told.note("told_wrongly", f"{event.id} is no event")
        elif event != written[event.id] or receipt.path != path:
            told.note("told_wrongly", f"the webhook {event.id} differs from its event, or came to {receipt.path}")
    for event_id in written.keys() - received:
        told.note("not_told", f"no webhook {event_id}")


def _judge_order(told: Told, rig: Rig, events: Sequence[Event]) -> None:
    """A webhook of a job comes first after the one before was acknowledged."""
    for receiver in rig.receivers:
        first: dict[str, int] = {}
        taken: dict[str, int] = {}
        for at, receipt in enumerate(list(receiver.receipts)):
            first.setdefault(receipt.event_id, at)
            if receipt.is_acknowledged:
                taken.setdefault(receipt.event_id, at)
        last: dict[str, str] = {}
        for event in events:
            before = last.get(event.job_id)
            if before is not None and event.id in first and first[event.id] < taken.get(before, len(first)):
                told.note("told_wrongly", f"{event.id} came before {before} was acknowledged")
            last[event.job_id] = event.id


def _judge_job(told: Told, outcome: Outcome | None, events: Sequence[Event], retried: int) -> None:
    if outcome is None:
        # It is lost.
        return
    if not events:
        told.note("not_told", f"no event of {outcome!r}")
        return
    if len(events) > 1 + retried:
        told.note("told_wrongly", f"{len(events)} events of {events[0].job_id}, which was retried {retried} times")
    event, failure = events[0], events[0].exception()
    is_right = event.result == outcome if isinstance(outcome, Result) else _same(failure, outcome)
    if not is_right:
        told.note("told_wrongly", f"{event.id} is another outcome than its job's")


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and vars(one) == vars(other)


def _judge_videos(told: Told, rig: Rig, traffic: Traffic) -> None:
    videos, job_ids = rig.videos(), traffic.job_ids
    for number, outcome in traffic.outcomes.items():
        if not isinstance(outcome, Result):
            continue
        video = videos.get(outcome.task_id or "", {})
        expected = video.get("size_bytes"), video.get("sha256"), video.get("url")
        files = [(file.size_bytes, file.sha256, file.source_url) for file in outcome.files]
        stored = [rig.store.get(url) for url in outcome.urls]
        in_store = [(each.size_bytes, each.sha256) for each in stored if each is not None]
        if not outcome.kept or files != [expected] or in_store != [expected[:2]]:
            told.note("corrupt", f"the video of {job_ids[number]}: {files} {in_store} instead of {expected}")
        elif not outcome.urls[0].endswith(f"/{job_ids[number]}.mp4"):
            told.note("corrupt", f"the video of {job_ids[number]} is at {outcome.urls[0]}")
