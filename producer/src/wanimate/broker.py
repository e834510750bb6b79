"""Kombu's Redis transports with channels that keep their Redis client."""

from __future__ import annotations

from typing import Any, Final

from kombu.transport import redis


class KeepsClient:
    """The part of a channel that keeps its client: kombu makes one for each message, a fifth of its cost."""

    _kept_client: Any = None

    def _create_client(self: Any, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's
        if asynchronous:
            return super()._create_client(asynchronous)  # type: ignore[misc]
        if self._kept_client is None or self._kept_client.connection_pool is not self.pool:
            self._kept_client = super()._create_client()  # type: ignore[misc]
        return self._kept_client


class Channel(KeepsClient, redis.Channel):
    """A channel to one server."""


class SentinelChannel(KeepsClient, redis.SentinelChannel):
    """A channel to the server that Sentinels name."""


class Transport(redis.Transport):
    """For `redis://` and `rediss://`."""

    Channel = Channel


class SentinelTransport(redis.SentinelTransport):
    """For `sentinel://`."""

    Channel = SentinelChannel


#: By the scheme of the URL; kombu's own for all others.
TRANSPORTS: Final[dict[str, type[redis.Transport]]] = {
    "redis": Transport,
    "rediss": Transport,
    "sentinel": SentinelTransport,
}
