"""Reads the event stream, with a cursor or as a member of a consumer group.

Each read is one transaction, so that the oldest id of the stream matches the events.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: The cursor before all events.
BEGINNING: Final = "0-0"
#: Another consumer takes over unacknowledged events after this time, in ms.
TAKE_OVER_AFTER_MS: Final = 60_000
#: Consumers without events that have not read for this time are removed, in ms.
_REMOVE_AFTER_MS: Final = 86_400_000
#: Events that a consumer takes over at once.
MAX_TAKEN_OVER: Final = 100


class Entry(NamedTuple):
    """One entry of the stream."""

    id: str
    #: Empty if the entry is no longer in the stream.
    fields: Mapping[str, str]


class Page(NamedTuple):
    """The answer of one read."""

    entries: list[Entry]
    #: The id of the stream's first entry; None if the stream is empty.
    oldest: str | None
    #: The cursor of the read.
    cursor: str

    @property
    def has_lost_some(self) -> bool:
        """Whether entries after the cursor may have been deleted, or the stream was replaced."""
        is_kept = self.oldest is not None and order_of(self.oldest) <= order_of(self.cursor)
        return self.cursor != BEGINNING and not is_kept


class NoGroup(Exception):
    """The consumer group no longer exists: Redis was replaced, or the group was deleted."""


def order_of(event_id: str) -> tuple[int, int]:
    """Return the sort key of an entry id."""
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number or 0)


def read_after(redis: Any, key: str, cursor: str, most: int) -> Page:
    """Read the entries after a cursor."""
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.xrange(key, count=1)
        pipeline.xrange(key, min=f"({cursor}", count=most)
        first, entries = pipeline.execute()
    return Page([Entry(*entry) for entry in entries], first[0][0] if first else None, cursor)


def await_entry(redis: Any, key: str, cursor: str, seconds: float) -> None:
    """Block until the stream has an entry after a cursor, or until the timeout in seconds."""
    redis.xread({key: cursor}, count=1, block=max(1, round(seconds * 1000)))


class Member(NamedTuple):
    """One consumer of a group; all methods but `join` and `acknowledge` raise `NoGroup` if the group is deleted."""

    key: str
    group: str
    consumer: str

    def join(self, redis: Any, cursor: str) -> None:
        """Create the group unless it exists; it starts after a cursor."""
        from redis.exceptions import ResponseError

        try:
            redis.xgroup_create(self.key, self.group, id=cursor, mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def read(self, redis: Any, most: int, *, own: bool) -> Page:
        """Read new entries, or this consumer's own unacknowledged ones.

        The cursor of the page is the last entry that the group had read before.
        """
        with _existing_group(), redis.pipeline(transaction=True) as pipeline:
            pipeline.xrange(self.key, count=1)
            pipeline.xinfo_groups(self.key)
            pipeline.xreadgroup(self.group, self.consumer, {self.key: "0" if own else ">"}, count=most)
            first, groups, answer = pipeline.execute()
        cursor = next(group["last-delivered-id"] for group in groups if group["name"] == self.group)
        return Page(_entries(answer), first[0][0] if first else None, cursor)

    def begin_again(self, redis: Any) -> None:
        """Make the group start with the oldest entry."""
        with _existing_group():
            redis.xgroup_setid(self.key, self.group, BEGINNING)

    def acknowledge(self, redis: Any, *event_ids: str) -> None:
        """Acknowledge processed events."""
        redis.xack(self.key, self.group, *event_ids)

    def hand_back(self, redis: Any, *event_ids: str) -> None:
        """Release this consumer's events, so that the next consumer that checks can take them over."""
        with _existing_group():
            redis.xclaim(self.key, self.group, self.consumer, 0, event_ids, idle=TAKE_OVER_AFTER_MS, justid=True)

    def find_abandoned(self, redis: Any) -> tuple[list[str], list[str]]:
        """Return events that were not acknowledged in time: those still in the stream, and the deleted ones."""
        with _existing_group():
            found = redis.xpending_range(self.key, self.group, "-", "+", MAX_TAKEN_OVER, idle=TAKE_OVER_AFTER_MS)
        ids = [entry["message_id"] for entry in found]
        first = redis.xrange(self.key, count=1) if ids else []
        kept = [each for each in ids if first and order_of(each) >= order_of(first[0][0])]
        return kept, [each for each in ids if each not in kept]

    def take_over(self, redis: Any, *event_ids: str) -> None:
        """Take over abandoned events, unless another consumer was faster.

        This does not use XAUTOCLAIM, whose reply for deleted entries depends on the version of Redis.
        """
        with _existing_group():
            redis.xclaim(self.key, self.group, self.consumer, TAKE_OVER_AFTER_MS, event_ids, justid=True)

    def remove_idle(self, redis: Any) -> None:
        """Remove consumers of ended processes: each process has a new name by default."""
        with _existing_group():
            for consumer in redis.xinfo_consumers(self.key, self.group):
                if not consumer["pending"] and consumer["idle"] > _REMOVE_AFTER_MS:
                    redis.xgroup_delconsumer(self.key, self.group, consumer["name"])


@contextmanager
def _existing_group() -> Iterator[None]:
    from redis.exceptions import ResponseError

    try:
        yield
    except ResponseError as error:
        if "NOGROUP" in str(error) or "no such key" in str(error):
            raise NoGroup from error
        raise


def _entries(answer: Any) -> list[Entry]:
    """Return the entries of a reply, whose form depends on the version of redis-py and on the protocol."""
    if not answer:
        return []
    (entries,) = answer.values() if isinstance(answer, dict) else [entries for _, entries in answer]
    if entries and isinstance(entries[0], list):
        (entries,) = entries
    return [Entry(event_id, fields or {}) for event_id, fields in entries]
