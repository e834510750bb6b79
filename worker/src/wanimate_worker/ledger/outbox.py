"""Webhooks: each is written in the step that ends its job, and sent at least once, or given up and kept.

They are sorted by endpoint (scheme, host and port), so that one that does not answer delays no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, cast
from urllib.parse import urlsplit

import orjson
from wanimate.redis.event_stream import order_of

from .script import SCRIPTS, Concern, script

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Webhooks that are sorted at once, or read in one exchange.
_READ_SIZE: Final = 200
#: At most so many webhooks are searched for the oldest.
_SAMPLE_SIZE: Final = 5_000
_PORTS: Final = {"http": 80, "https": 443}


def endpoint_of(url: str) -> str:
    """Return the scheme, host and port of a URL, in one spelling."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or _PORTS.get(parts.scheme, 0)}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook that is not delivered.

    Args:
        event_id: Names the event.
        url: Where it goes.
        fields: What is known of the event, as `Event.read` takes it.
        attempts: How often it was tried.
        first_ms: When it was tried first, in Redis time; None if it was not.
        why: What the last try failed with.
    """

    event_id: str
    url: str
    fields: Mapping[str, str]
    attempts: int = 0
    first_ms: int | None = None
    why: str = ""

    @property
    def endpoint(self) -> str:
        """Where it goes, without the path."""
        return endpoint_of(self.url)

    @property
    def job_id(self) -> str:
        """The job that has ended."""
        return self.fields["job_id"]

    @property
    def written_ms(self) -> int:
        """When its job ended, in Redis time."""
        return int(self.fields["settled_at_ms"])

    @classmethod
    def read(cls, event_id: str, content: str) -> Self:
        """Build from what is stored."""
        return cls(event_id, **orjson.loads(content))

    def content(self) -> str:
        """Return what is stored."""
        facts = {"url": self.url, "fields": self.fields, "attempts": self.attempts, "why": self.why}
        return orjson.dumps({**facts, "first_ms": self.first_ms}).decode()


@dataclass(frozen=True, slots=True)
class WebhookBacklog:
    """The webhooks that are not delivered.

    Args:
        undelivered: How many are tried again.
        given_up: How many are not.
        oldest: The oldest of those that are tried again; of a sample, where there are very many.
        last_given_up: The one that was given up last.
    """

    undelivered: int = 0
    given_up: int = 0
    oldest: Delivery | None = None
    last_given_up: Delivery | None = None


@dataclass(frozen=True, slots=True)
class ClaimedDeliveries:
    """Webhooks that are this caller's to send, until their lease ends.

    Args:
        claimed_at_ms: When, in Redis time.
        deliveries: The webhooks.
    """

    claimed_at_ms: int
    deliveries: Sequence[Delivery]


class Outbox(Concern):
    """The webhooks of one account."""

    # -- sending ------------------------------------------------------------------------------------------------

    def sort(self) -> int:
        """Put new webhooks with those of their endpoint, and return how many there were."""
        event_ids = cast("list[str]", self._redis.zrange(self._keys.outbox, 0, _READ_SIZE - 1))
        by_endpoint: dict[str, list[str]] = {}
        for event_id, content in zip(event_ids, self._contents(event_ids), strict=True):
            if content is None:
                self._finish_webhook("", event_id, 0)
            else:
                by_endpoint.setdefault(Delivery.read(event_id, content).endpoint, []).append(event_id)
        for endpoint, ids in by_endpoint.items():
            self._sort_webhooks(endpoint, ids)
        return len(event_ids)

    @script()
    def _sort_webhooks(self, endpoint_name: str, event_ids: Sequence[str]) -> None: ...

    def due_endpoints(self, most: int) -> list[str]:
        """Return endpoints to which something may be sent now, those first that wait longest."""
        now_ms = self._now_ms()
        found = self._redis.zrangebyscore(self._keys.endpoints, "-inf", now_ms, start=0, num=most)
        return list(cast("list[str]", found))

    def claim(self, endpoint: str, most: int) -> ClaimedDeliveries:
        """Claim webhooks of an endpoint, as many as may be sent to it at once."""
        now_ms, *event_ids = self._claim_webhooks(endpoint, most)
        contents = zip(event_ids, self._contents(event_ids), strict=True)
        deliveries = [Delivery.read(event_id, content) for event_id, content in contents if content is not None]
        for event_id in {*event_ids} - {delivery.event_id for delivery in deliveries}:
            # Its job was erased.
            self._finish_webhook(endpoint, event_id, now_ms)
        return ClaimedDeliveries(now_ms, deliveries)

    @script(list)
    def _claim_webhooks(self, endpoint_name: str, most: int) -> list[Any]: ...

    def finish(self, delivery: Delivery) -> bool:
        """Remove a webhook that was delivered; False if it was gone."""
        return self._finish_webhook(delivery.endpoint, delivery.event_id, delivery.written_ms)

    @script(bool)
    def _finish_webhook(self, endpoint_name: str, event_id: str, written_ms: int) -> bool: ...

    def fail(self, delivery: Delivery, delay_ms: int | None) -> bool:
        """Record a failed try; False if the webhook was gone.

        Args:
            delivery: The webhook, with its attempts and why the last one failed.
            delay_ms: After how long it is tried again; None gives it up: it is kept for the operator.
        """
        return self._fail_webhook(delivery.endpoint, delivery.event_id, delivery.content(), delay_ms)

    @script(bool)
    def _fail_webhook(self, endpoint_name: str, event_id: str, content: str, delay_ms: int | None) -> bool: ...

    def set_back(self, step_ms: int) -> None:
        """Plan everything so much earlier: the clock of Redis was set back."""
        endpoints = cast("list[str]", self._redis.zrange(self._keys.endpoints, 0, -1))
        for endpoint in endpoints:
            self._set_back_endpoint(endpoint, step_ms)

    @script()
    def _set_back_endpoint(self, endpoint_name: str, step_ms: int) -> None: ...

    # -- operating ----------------------------------------------------------------------------------------------

    def replay(self, delivery: Delivery) -> None:
        """Have a webhook sent now, whether it was given up, waits for its next try, or was delivered before."""
        again = Delivery(delivery.event_id, delivery.url, delivery.fields)
        self._replay_webhook(again.event_id, again.content())

    @script()
    def _replay_webhook(self, event_id: str, content: str) -> None: ...

    def get(self, event_id: str) -> Delivery | None:
        """Return a webhook that is not delivered; None if there is none."""
        (content,) = self._contents([event_id])
        return None if content is None else Delivery.read(event_id, content)

    def backlog(self) -> WebhookBacklog:
        """Return how many webhooks are not delivered, and the oldest of them."""
        keys = self._keys
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.hlen(keys.deliveries)
            pipeline.zcard(keys.dead_webhooks)
            pipeline.hrandfield(keys.deliveries, _SAMPLE_SIZE)
            pipeline.zrevrange(keys.dead_webhooks, 0, 0)
            stored, given_up, sample, last = pipeline.execute()
        if given_up and sample:
            dead = self._redis.zmscore(keys.dead_webhooks, sample)
            sample = [event_id for event_id, score in zip(sample, dead, strict=True) if score is None]
        oldest = min(sample, key=order_of, default=None)
        wanted = [event_id for event_id in (oldest, *last) if event_id is not None]
        found = {
            event_id: Delivery.read(event_id, content)
            for event_id, content in zip(wanted, self._contents(wanted), strict=True)
            if content is not None
        }
        return WebhookBacklog(
            max(0, stored - given_up), given_up, found.get(oldest), found.get(last[0]) if last else None
        )

    def next_tries(self, deliveries: Sequence[Delivery]) -> dict[str, int | None]:
        """Return when each webhook may be sent, in Redis time; None if it was given up or waits for an earlier one."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for delivery in deliveries:
                pipeline.zscore(self._keys.outbox, delivery.event_id)
                pipeline.zscore(self._keys.endpoint(delivery.endpoint), delivery.event_id)
            scores = cast("list[float | None]", pipeline.execute()) if deliveries else []
        pairs = zip(scores[::2], scores[1::2], strict=True)
        planned = [new if new is not None else sorted_ for new, sorted_ in pairs]
        return {
            delivery.event_id: None if at_ms is None else int(at_ms)
            for delivery, at_ms in zip(deliveries, planned, strict=True)
        }

    def forget(self, delivery: Delivery) -> None:
        """Remove a webhook that must not be sent any more; it does not count as delivered."""
        arguments = (delivery.endpoint, delivery.event_id, delivery.written_ms)
        with self._redis.pipeline() as pipeline:
            pipeline.hdel(self._keys.deliveries, delivery.event_id)
            self._run(SCRIPTS["finish_webhook"], arguments, {}, pipeline)
            pipeline.execute()

    def undelivered(self) -> Iterator[Delivery]:
        """Read all webhooks that are not delivered, in no order; those that were given up are among them."""
        for event_id, content in self._redis.hscan_iter(self._keys.deliveries, count=_READ_SIZE):
            yield Delivery.read(event_id, content)

    def given_up(self) -> dict[str, int]:
        """Return the webhooks that were given up, and when, in Redis time, the oldest first."""
        found = self._redis.zrange(self._keys.dead_webhooks, 0, -1, withscores=True)
        return {event_id: int(at_ms) for event_id, at_ms in cast("list[tuple[str, float]]", found)}

    def event(self, event_id: str) -> dict[str, str] | None:
        """Return what is known of an event that can still be read; None if it cannot."""
        found = self._redis.xrange(self._keys.events, event_id, event_id)
        return cast("dict[str, str]", found[0][1]) if found else None

    def _contents(self, event_ids: Sequence[str]) -> list[str | None]:
        if not event_ids:
            return []
        return cast("list[str | None]", self._redis.hmget(self._keys.deliveries, list(event_ids)))
