"""Reading events: what to read next, what to acknowledge, how long to pause; the clients read and sleep."""

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

#: Events in one read.
PAGE: Final = 500
#: The same for a member of a group: what one has read, the others do not get while it is alive.
GROUP_PAGE: Final = 50
#: A page of a group that is older is read again, in seconds: other members take over what waits for a minute.
_STALE_SECONDS: Final = 30.0
#: Time between two looks for events of members that died, in seconds.
_TAKE_OVER_INTERVAL_SECONDS: Final = 10.0
#: Longest pause between two reads, in seconds: of a client that Redis wakes, and of one that asks again and again.
MAX_BLOCK_SECONDS: Final = 5.0
MIN_PAUSE_SECONDS: Final = 0.05
MAX_PAUSE_SECONDS: Final = 0.5

_ID: Final = re.compile(r"[0-9]{1,20}-[0-9]{1,20}", re.ASCII)
_MAX_PART: Final = 2**64 - 1
_MAX_NAME_CHARACTERS: Final = 200


class Feed:
    """One reading of the events, in order.

    A client calls `read` while `is_due`, then `pop`, and pauses if that returns nothing.

    Args:
        store: Where they are.
        after: The id of the last event that was processed; None begins with the oldest.
        timeout: How long to wait for the next event, in seconds; None waits for ever.
        group: The consumer group to read in.
        consumer: This consumer's name in the group; None makes one up.

    Raises:
        InvalidArgument: The cursor is no id of an event, the time-out no number of seconds, or a name is wrong.
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
        #: Whether events that this consumer has read before, and not acknowledged, come first.
        self._reads_own = True
        self._take_over_at = 0.0
        if group is None and consumer is not None:
            raise InvalidArgument("consumer: it names a member of a group: give the group too, or leave it out")

    @property
    def is_due(self) -> bool:
        """Whether `read` has something to do: no event is at hand, or one is to be acknowledged."""
        return not self._page or self._member is not None

    def read(self) -> None:
        """Acknowledge the event that was processed, and read the next ones unless some are at hand.

        Raises:
            EventsLost: Events that were not read are no longer kept.
            QueueUnavailable: Redis could not be reached; `fail` decides whether to go on.
        """
        with self._store.exchange() as redis:
            if self._member is None:
                self._read_after_cursor(redis)
            else:
                self._read_as(self._member, redis)
        self._reached_at = time.monotonic()

    def pop(self) -> Event | None:
        """Return the next event; None if none is at hand.

        Raises:
            WanimateError: This version cannot read it.
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
        """Raise the error of a read, unless the outage may still be a short one."""
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
        """Wait until there is an event, for some seconds at most; return False when the time is up.

        Raises:
            QueueUnavailable: Redis could not be reached; `fail` decides whether to go on.
        """
        left = self._left()
        if left == 0:
            return False
        longest = min(MAX_BLOCK_SECONDS, self._store.settings.redis_timeout_seconds / 2)
        with self._store.exchange() as redis:
            await_entry(redis, self._key, self._cursor, longest if left is None else min(left, longest))
        return True

    def _left(self) -> float | None:
        """Return the time until the time-out, which begins when there is no event, in seconds; None without one."""
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
            # Other consumers may take these over soon: those that are still this one's own are read again.
            self._page.clear()
            self._reads_own = True
        try:
            self._page.extend(self._own_events(member, redis) or self._read_page(member, redis, own=False))
        except NoGroup:
            member.join(redis, BEGINNING)
            raise _lost(f"the consumer group {member.group!r} is gone: events", None) from None
        self._read_at = now

    def _own_events(self, member: Member, redis: Any) -> list[Entry]:
        """Return events that this consumer has read before, or that it takes over."""
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
            raise _lost("events that consumers had read and not processed", None)
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
                what = "events that consumers had read and not processed"
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
        what = f"the event {event_id} is not one that this version of wanimate can read: upgrade wanimate"
        if self._member is None:
            return WanimateError(f"{what}, or leave the event out with client.events(after={event_id!r})")
        return WanimateError(
            f"{what}; the group {self._member.group!r} has it until then. To leave it out: redis-cli XACK "
            f"{self._member.key} {self._member.group} {event_id}"
        )


def _lost(what: str, oldest: str | None) -> EventsLost:
    kept = "no event is kept now" if oldest is None else f"the oldest that is kept is {oldest}"
    return EventsLost(
        f"{what} are no longer kept ({kept}): the newest WANIMATE_EVENTS_KEPT are, and none survives the loss of "
        "Redis' data. Ask client.job(id).status() about jobs that you miss an event of. To go on from the oldest, "
        "leave after out, or iterate over the group again",
        oldest,
    )


def _checked_cursor(after: str) -> str:
    if not isinstance(after, str):
        raise InvalidArgument(f"after: the id of an event is expected, got {type(after).__name__}")
    if not _ID.fullmatch(after) or max(order_of(after)) > _MAX_PART:
        raise InvalidArgument(
            "after: this is no id of an event: give the .id of the last event that was processed, such as "
            "'1764590000000-0', or None for the oldest that is kept"
        )
    return after


def _member(key: str, group: str, consumer: str | None) -> Member:
    if consumer is None:
        consumer = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
    return Member(key, _checked_name("group", group), _checked_name("consumer", consumer))


def _checked_name(what: str, name: str) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidArgument(f"{what}: a name of 1 to {_MAX_NAME_CHARACTERS} printable characters is expected")
    return name
