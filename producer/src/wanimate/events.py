"""Decides which events to read and acknowledge, and how long to pause; the clients read and sleep."""

from __future__ import annotations

import os
import re
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from .contract import Event
from .errors import EventsLost, InvalidArgument, QueueUnavailable, WanimateError
from .redis.event_stream import (
    BEGINNING,
    MAX_TAKEN_OVER,
    Entry,
    Member,
    NoGroup,
    await_entry,
    order_of,
    read_after,
)
from .waiting import OUTAGE_SECONDS, seconds_of

if TYPE_CHECKING:
    from .redis.store import Store

#: Events per read.
PAGE: Final = 500
#: Events per read in a group. They are not delivered to other consumers while this one is alive.
GROUP_PAGE: Final = 50
#: Age after which a page of a group is read again, in seconds: other consumers take over after a minute.
_STALE_SECONDS: Final = 30.0
#: Time between two checks for events of dead consumers, in seconds.
_TAKE_OVER_INTERVAL_SECONDS: Final = 10.0
#: Pauses between two reads, in seconds: of a blocking read, and of a client that polls.
MAX_BLOCK_SECONDS: Final = 5.0
MIN_PAUSE_SECONDS: Final = 0.05
MAX_PAUSE_SECONDS: Final = 0.5

_ID: Final = re.compile(r"[0-9]{1,20}-[0-9]{1,20}", re.ASCII)
_MAX_PART: Final = 2**64 - 1
_MAX_NAME_CHARACTERS: Final = 200


class Feed:
    """Reads events in order.

    A client calls `read` while `is_due`, then `pop`, and pauses if `pop` returns None.

    Args:
        store: The store.
        after: The id of the last processed event; None starts with the oldest.
        timeout: How long to wait for the next event, in seconds; None waits indefinitely.
        group: The consumer group.
        consumer: The name of this consumer in the group; None generates one.

    Raises:
        InvalidArgument: An argument is invalid.
    """

    def __init__(
        self, store: Store, after: str | None, timeout: float | None, *, group: str | None, consumer: str | None
    ) -> None:
        self._store = store
        self._key = store.keys.events
        #: The last event that was read; in a group, by any consumer.
        self._cursor = BEGINNING if after is None else _checked_cursor(after)
        self._timeout = None if timeout is None else seconds_of(timeout)
        self._deadline: float | None = None
        self._pause = MIN_PAUSE_SECONDS
        self._reached_at: float | None = None
        self._page: deque[Entry] = deque()
        self._read_at = 0.0
        self._member = None if group is None else _member(self._key, group, consumer)
        self._has_joined = False
        #: The event to acknowledge.
        self._popped: str | None = None
        #: Whether this consumer's unacknowledged events come first.
        self._reads_own = True
        self._take_over_at = 0.0
        if group is None and consumer is not None:
            raise InvalidArgument("consumer: set group as well: a consumer is part of a group")

    @property
    def is_due(self) -> bool:
        """Whether `read` is needed: there is no event in memory, or one to acknowledge."""
        return not self._page or self._member is not None

    def read(self) -> None:
        """Acknowledge the processed event; read more events if there is none in memory.

        Raises:
            EventsLost: Unread events were deleted.
            QueueUnavailable: Redis cannot be reached; `fail` decides whether to continue.
        """
        with self._store.exchange() as redis:
            if self._member is None:
                self._read_after_cursor(redis)
            else:
                self._read_as(self._member, redis)
        self._reached_at = time.monotonic()

    def pop(self) -> Event | None:
        """Return the next event, or None if there is none in memory.

        Raises:
            WanimateError: This version cannot read the event.
        """
        if not self._page:
            return None
        entry = self._page[0]
        try:
            event = Event.read(entry.id, entry.fields)
        except (ValueError, LookupError, TypeError, AttributeError):
            raise self._unreadable(entry.id) from None
        self._page.popleft()
        if self._member is None:
            self._cursor = entry.id
        else:
            self._popped = entry.id
        self._deadline, self._pause = None, MIN_PAUSE_SECONDS
        return event

    def fail(self, error: QueueUnavailable) -> None:
        """Raise the error of a read, unless the outage is still short."""
        if self._reached_at is None or time.monotonic() - self._reached_at > OUTAGE_SECONDS or self._left() == 0:
            raise error
        # The answer that was lost may have held events, which are this consumer's now.
        self._reads_own = True

    def pause_seconds(self) -> float | None:
        """Return how long to pause before the next read; None when the time is up."""
        pause, self._pause = self._pause, min(self._pause * 1.5, MAX_PAUSE_SECONDS)
        left = self._left()
        return pause if left is None else min(pause, left) or None

    def block(self) -> bool:
        """Block until there is an event, for a few seconds at most; return False after the timeout.

        Raises:
            QueueUnavailable: Redis cannot be reached; `fail` decides whether to continue.
        """
        left = self._left()
        if left == 0:
            return False
        longest = min(MAX_BLOCK_SECONDS, self._store.settings.redis_timeout_seconds / 2)
        with self._store.exchange() as redis:
            await_entry(redis, self._key, self._cursor, longest if left is None else min(left, longest))
        return True

    def _left(self) -> float | None:
        """Return the seconds until the timeout, which starts when there is no event; None without one."""
        if self._timeout is None:
            return None
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + self._timeout
        return max(0.0, self._deadline - now)

    def _read_after_cursor(self, redis: Any) -> None:
        page = read_after(redis, self._key, self._cursor, PAGE)
        if page.has_lost_some:
            raise _lost(f"events after {page.cursor}", page.oldest)
        self._page.extend(page.entries)

    def _read_as(self, member: Member, redis: Any) -> None:
        if not self._has_joined:
            member.join(redis, self._cursor)
            self._has_joined = True
        if self._popped is not None:
            member.acknowledge(redis, self._popped)
            self._popped = None
        now = time.monotonic()
        if self._page:
            if now - self._read_at < _STALE_SECONDS:
                return
            # Other consumers may take these over soon, so read again which still belong to this one.
            self._page.clear()
            self._reads_own = True
        try:
            self._page.extend(self._own_events(member, redis) or self._read_page(member, redis, own=False))
        except NoGroup:
            member.join(redis, BEGINNING)
            raise _lost(f"the consumer group {member.group!r} no longer exists: its events", None) from None
        self._read_at = now

    def _own_events(self, member: Member, redis: Any) -> list[Entry]:
        """Return this consumer's unacknowledged events, and those that it takes over."""
        if self._reads_own:
            entries = self._read_page(member, redis, own=True)
            if entries:
                return entries
            self._reads_own = False
        if time.monotonic() < self._take_over_at:
            return []
        kept, lost = member.find_abandoned(redis)
        if lost:
            member.acknowledge(redis, *lost)
            raise _lost("events that consumers had read but not processed", None)
        if len(kept) < MAX_TAKEN_OVER:
            member.remove_idle(redis)
            self._take_over_at = time.monotonic() + _TAKE_OVER_INTERVAL_SECONDS
        if not kept:
            return []
        self._reads_own = True
        member.take_over(redis, *kept)
        return self._read_page(member, redis, own=True)

    def _read_page(self, member: Member, redis: Any, *, own: bool) -> list[Entry]:
        page = member.read(redis, GROUP_PAGE, own=own)
        self._cursor = max([page.cursor, *(entry.id for entry in page.entries)], key=order_of)
        what = ""
        if own:
            lost = [entry.id for entry in page.entries if not entry.fields]
            if lost:
                what = "events that consumers had read but not processed"
                member.acknowledge(redis, *lost)
        elif page.has_lost_some:
            what = f"events after {page.cursor}"
            if page.oldest is None:
                member.begin_again(redis)
        if what:
            kept = [entry.id for entry in page.entries if entry.fields]
            if kept:
                member.hand_back(redis, *kept)
            raise _lost(what, page.oldest)
        return page.entries

    def _unreadable(self, event_id: str) -> WanimateError:
        what = f"this version of wanimate cannot read event {event_id}: upgrade wanimate"
        if self._member is None:
            return WanimateError(f"{what}, or skip the event with client.events(after={event_id!r})")
        return WanimateError(
            f"{what}; the group {self._member.group!r} keeps the event. To skip it: redis-cli XACK "
            f"{self._member.key} {self._member.group} {event_id}"
        )


def _lost(what: str, oldest: str | None) -> EventsLost:
    kept = "the stream is empty" if oldest is None else f"the oldest event is {oldest}"
    return EventsLost(
        f"{what} were deleted ({kept}): Redis keeps the newest WANIMATE_EVENTS_KEPT, or it lost its data. Check jobs "
        "without an event with client.job(id).status(). To continue with the oldest event, omit `after`, or iterate "
        "over the group again",
        oldest,
    )


def _checked_cursor(after: str) -> str:
    if not isinstance(after, str):
        raise InvalidArgument(f"after: expected the id of an event, got {type(after).__name__}")
    if not _ID.fullmatch(after) or max(order_of(after)) > _MAX_PART:
        raise InvalidArgument(
            "after: expected the .id of the last processed event, such as '1764590000000-0', or None to start with the "
            "oldest"
        )
    return after


def _member(key: str, group: str, consumer: str | None) -> Member:
    if consumer is None:
        consumer = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
    return Member(key, _checked_name("group", group), _checked_name("consumer", consumer))


def _checked_name(what: str, name: str) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidArgument(f"{what}: expected a name of 1 to {_MAX_NAME_CHARACTERS} printable characters")
    return name
