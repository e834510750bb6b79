"""Kombu's Redis transports with channels that keep their Redis client."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kombu.transport import redis
from kombu.utils.json import dumps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Note:
    """What is written together with a message, in one transaction: members of a sorted set.

    Args:
        key: The set.
        members: Its members with their scores.
        ttl_seconds: How long the set then lives, in seconds.
    """

    key: str
    members: Mapping[str, float]
    ttl_seconds: int


#: kombu may make another channel while it sends a message, so the note is with the context that sends.
_NOTE: Final[ContextVar[Note | None]] = ContextVar("note", default=None)


@contextmanager
def noting(note: Note | None) -> Iterator[None]:
    """Write a note with each message that is sent meanwhile, through one of the channels below."""
    token = _NOTE.set(note)
    try:
        yield
    finally:
        _NOTE.reset(token)


class KeepsClient:
    """The part of a channel that keeps its client: kombu makes one for each message, a fifth of its cost."""

    _kept_client: Any = None

    def _create_client(self: Any, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's
        if asynchronous:
            return super()._create_client(asynchronous)  # type: ignore[misc]
        if self._kept_client is None or self._kept_client.connection_pool is not self.pool:
            self._kept_client = super()._create_client()  # type: ignore[misc]
        return self._kept_client


class _Notes:
    """The part of a channel that writes what is noted about a message together with it."""

    def _put(self: Any, queue: str, message: dict[str, Any], **options: Any) -> None:
        note = _NOTE.get()
        if note is None:
            super()._put(queue, message, **options)  # type: ignore[misc]
            return
        name = self._q_for_pri(queue, self._get_message_priority(message, reverse=False))
        with self.conn_or_acquire() as client, client.pipeline(transaction=True) as pipeline:
            pipeline.zadd(note.key, note.members)
            pipeline.expire(note.key, note.ttl_seconds)
            pipeline.lpush(name, dumps(message))
            pipeline.execute()


class Channel(KeepsClient, _Notes, redis.Channel):
    """A channel to one server."""


class SentinelChannel(KeepsClient, _Notes, redis.SentinelChannel):
    """A channel to the server that Sentinels name."""


class Transport(redis.Transport):
    """For `redis://` and `rediss://`."""

    Channel = Channel


class SocketTransport(Transport):
    """For `socket://`, as kombu's channels read the address of a Unix socket."""

    #: The channel reads the URL itself; kombu takes its own transport for `redis+socket://`, whatever it is told.
    can_parse_url = True


class SentinelTransport(redis.SentinelTransport):
    """For `sentinel://`."""

    Channel = SentinelChannel


#: By the scheme of the URL.
TRANSPORTS: Final[dict[str, type[redis.Transport]]] = {
    "redis": Transport,
    "rediss": Transport,
    "socket": SocketTransport,
    "sentinel": SentinelTransport,
}
