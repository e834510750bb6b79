"""How workers read their queues.

Kombu pops a message (`BRPOP`) and notes in a second step that a worker holds it. A worker that dies in between loses
the message, and so does a Redis that is full, or a connection that breaks while a message is on its way. Here a script
does both at once. A script cannot wait, so a worker that finds nothing waits a moment, in Redis, and takes again.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from queue import Empty
from time import monotonic, time
from typing import Any, Final

from kombu.transport import TRANSPORT_ALIASES, _transport_cache, redis, virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from wanimate.contract import STEPS, list_of

from ..telemetry import get_logger
from .outage import is_away

log = get_logger(__name__)

#: How long a worker that found nothing waits for a job of the usual priority, in seconds. Half of it is what an idle
#: queue adds to the way of any other message.
NAP_SECONDS: Final = 0.2
#: The priority step of jobs whose callers say nothing about it.
_USUAL_STEP: Final = 3
#: How the script notes a message: with the exchange and the routing key, which is the queue.
_NOTE: Final = re.compile(r'\[(?P<item>.*),"(?:[^"\\]|\\.)*",(?P<queue>"(?:[^"\\]|\\.)*")\]', re.DOTALL)
_TAKE: Final = (files(__package__) / "take.lua").read_text()


def install() -> None:
    """Let every Redis URL of this process mean these transports; for the processes of the worker's app alone."""
    own = dict.fromkeys(("redis", "rediss"), f"{__name__}:Transport")
    own["sentinel"] = f"{__name__}:SentinelTransport"
    TRANSPORT_ALIASES.update(own)
    for name in own:
        # Kombu remembers what a name meant when it was first used.
        _transport_cache.pop(name, None)


class QoS(redis.QoS):
    """Notes of who holds which message."""

    def append(self, message: Any, delivery_tag: str) -> None:
        """Remember a message that this worker holds; the script has noted it in Redis."""
        virtual.QoS.append(self, message, delivery_tag)

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's
        """Give a held message back to its queue as it was, whether it can be read or not."""

        def restore(pipe: Any) -> None:
            note = pipe.hget(self.unacked_key, tag)
            noted = None if note is None else _NOTE.fullmatch(bytes_to_str(note))
            pipe.multi()
            pipe.zrem(self.unacked_index_key, tag).hdel(self.unacked_key, tag)
            if noted is not None:
                back = list_of(json.loads(noted["queue"]), self.channel.priority(_priority_of(noted["item"])))
                (pipe.lpush if leftmost else pipe.rpush)(back, noted["item"])

        with self.channel.conn_or_acquire(client) as redis_client:
            redis_client.transaction(restore, self.unacked_key)

    def restore_visible(self, *args: Any, **options: Any) -> None:
        """Give back what dead workers hold; a Redis that is full or read-only must not end this worker."""
        try:
            # Mostly there is nothing, and kombu would take a lock to find that out.
            with self.channel.conn_or_acquire() as client:
                if not client.zcount(self.unacked_index_key, 0, time() - self.visibility_timeout):
                    return
            super().restore_visible(*args, **options)
        except ResponseError as error:
            log.warning("messages of dead workers could not be requeued; it is retried", cause=error)


def _priority_of(item: str) -> int:
    try:
        return int(json.loads(item)["properties"]["priority"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return 0


class _Taking:
    """The part of a channel that reads queues; kombu calls `_brpop_start`, then `_brpop_read` for the answer."""

    QoS = QoS
    _is_napping = False
    _is_kombus = False
    _kept_client: Any = None

    def __init__(self: Any, *args: Any, **options: Any) -> None:
        #: Queues whose messages are not acknowledged, so that they are read kombu's way: replies to remote control.
        self._unacknowledged: set[str] = set()
        super().__init__(*args, **options)

    def basic_consume(self: Any, queue: str, no_ack: bool, *args: Any, **options: Any) -> Any:  # noqa: FBT001 - kombu's
        """Read a queue too."""
        (self._unacknowledged.add if no_ack else self._unacknowledged.discard)(queue)
        return super().basic_consume(queue, no_ack, *args, **options)  # type: ignore[misc]

    def _create_client(self: Any, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's
        # Kombu makes one for each message, a fifth of its cost.
        if asynchronous:
            return super()._create_client(asynchronous)  # type: ignore[misc]
        if self._kept_client is None or self._kept_client.connection_pool is not self.pool:
            self._kept_client = super()._create_client()  # type: ignore[misc]
        return self._kept_client

    def _connparams(self: Any, *args: Any, **options: Any) -> Any:
        # A task that ends after its connection was lost acknowledges on a closed channel. Celery logs a connection
        # error and goes on; kombu's AttributeError would end the worker.
        if self.connection is None or self.connection.client is None:
            raise RedisConnectionError("the channel was closed when its connection was lost")
        return super()._connparams(*args, **options)  # type: ignore[misc]

    def _brpop_start(self: Any, timeout: float | None = None) -> None:
        self._is_kombus = not self._unacknowledged.isdisjoint(self.active_queues)
        if self._is_kombus:
            super()._brpop_start(timeout)  # type: ignore[misc]
            return
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        connection = self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()
        if self._is_napping:
            # Moving an entry to its own place waits for one and takes none.
            usual = list_of(queues[-1], _USUAL_STEP)
            connection.send_command("BLMOVE", usual, usual, "RIGHT", "RIGHT", NAP_SECONDS)
            return
        # What runs comes before what is new, however urgent: an entry never stands in front of a tick.
        groups = (queues[:-1], queues[-1:])
        lists = [(list_of(queue, step), queue) for group in groups for step in STEPS for queue in group]
        keys = [self.unacked_key, self.unacked_index_key, *(key for key, _ in lists)]
        # Not EVALSHA: a server that has just restarted would not know it, and the text is short.
        connection.send_command("EVAL", _TAKE, len(keys), *keys, *(queue for _, queue in lists))

    def _brpop_read(self: Any, **options: Any) -> bool:
        if self._is_kombus:
            return bool(super()._brpop_read(**options))  # type: ignore[misc]
        connection = self.client.connection
        try:
            try:
                answer = self.client.parse_response(connection, "BLMOVE" if self._is_napping else "EVAL")
            except ResponseError as error:
                # Read-only after a fail-over, a script that blocks the server: Celery connects anew until it is over.
                connection.disconnect()
                raise RedisConnectionError(str(error)) from error
            except self.connection_errors:
                connection.disconnect()
                raise
            if not answer or self._is_napping:
                self._is_napping = not self._is_napping
                raise Empty
            queue, tag, item = map(bytes_to_str, answer)
            self._queue_cycle.rotate(queue)
            self.connection._deliver(self._message(item, tag, queue), queue)  # noqa: SLF001 - as kombu does
            return True
        finally:
            self._in_poll = None

    def _receive_one(self: Any, client: Any) -> bool:
        """Read what was published to a channel, such as remote control; what makes no sense there ends no worker."""
        try:
            return bool(super()._receive_one(client))  # type: ignore[misc]
        except Exception as error:
            # Kombu counts a KeyError as a lost connection.
            if isinstance(error, Empty) or is_away(error):
                raise
            log.warning("unreadable remote-control message ignored", cause=type(error).__name__)
            raise Empty from error

    def _message(self: Any, item: str, tag: str, queue: str) -> dict[str, Any]:
        """Return a list's entry as a message; what is none as the body of one, which the consumer then keeps."""
        noted = {"delivery_tag": tag, "delivery_info": {"exchange": "", "routing_key": queue}}
        message: Any = None
        try:
            message = loads(item)
            message = {**message, "properties": {**message["properties"], **noted}}
            self.Message(message, channel=self)
        except Exception as error:  # noqa: BLE001 - whatever a decoder raises
            log.debug("a queue contains an entry that is not a message", queue=queue, cause=type(error).__name__)
            # They name the task whose caller gets the error.
            headers = message.get("headers") if isinstance(message, dict) else None
            return {"body": item, "headers": headers if isinstance(headers, dict) else {}, "properties": noted}
        return message  # type: ignore[no-any-return]


#: What Celery waits for: also a server that refuses commands.
_WAITED_FOR: Final = (*redis.Transport.connection_errors, ResponseError)


class Channel(_Taking, redis.Channel):
    """A channel to one server."""


class SentinelChannel(_Taking, redis.SentinelChannel):
    """A channel to the server that Sentinels name."""


class Transport(redis.Transport):
    """For `redis://`, `rediss://` and `redis+socket://`."""

    Channel = Channel
    connection_errors = _WAITED_FOR


class SentinelTransport(redis.SentinelTransport):
    """For `sentinel://`."""

    Channel = SentinelChannel
    connection_errors = _WAITED_FOR
