"""Messages that no worker could use: kept with the reason, so that an operator can read and replay them."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from wanimate.contract import CONTRACT_HEADER, ENTRY_QUEUE

from ..plain_json import plain, shown
from ..telemetry import get_logger

if TYPE_CHECKING:
    from celery import Celery

    from ..ledger import Ledger

log = get_logger(__name__)

#: A message that can be put back is kept whole. Of others so much is kept, in bytes, for an investigation.
MAX_KEPT_BYTES: Final = 16 * 1024


class Reason(StrEnum):
    """Why no worker could use a message."""

    #: A newer version of the library made it. It can be put back once the workers know that version.
    NEWER_CONTRACT = "newer contract"
    #: No worker here knows a task of this name.
    UNKNOWN_TASK = "unknown task"
    #: Its body or its form makes no sense.
    UNREADABLE = "unreadable"
    #: It names no task at all.
    NO_TASK = "no task"
    #: Its id, or its idempotency key, is in use for another request.
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One kept message: its number, its reason and parts, and how it is stored, to remove it by."""

    stored: str
    number: int
    content: dict[str, Any]

    @classmethod
    def read(cls, stored: str) -> DeadLetter:
        """Read a stored letter."""
        number, _, content = stored.partition(" ")
        return cls(stored, int(number), json.loads(content))

    @property
    def contract(self) -> int | None:
        """The contract version of the library that made it, if it says."""
        version = (self.content.get("headers") or {}).get(CONTRACT_HEADER)
        return version if isinstance(version, int) else None

    def can_be_replayed(self, known_contract: int) -> bool:
        """Whether it was kept for its contract version alone, and this installation knows that one."""
        return self.content["reason"] == Reason.NEWER_CONTRACT.value and (self.contract or 0) <= known_contract

    def facts(self) -> dict[str, Any]:
        """Return what may be shown: never the body, which holds URLs and prompts."""
        names = ("at_ms", "reason", "why", "queue", "task", "id", "body_bytes")
        return {"number": self.number, **{name: self.content.get(name) for name in names}, "contract": self.contract}


def letter_of(message: Any, reason: Reason, why: str) -> dict[str, Any]:
    """Return a kombu message as it is kept; see `keep`."""
    headers, properties, delivery_info = map(_fields, (message.headers, message.properties, message.delivery_info))
    # Kombu has undone a compression by now.
    headers = {name: value for name, value in headers.items() if name != "compression"}
    body = _bytes(message.body)
    is_whole = reason is Reason.NEWER_CONTRACT
    return {
        "at_ms": round(time.time() * 1000),
        "reason": reason.value,
        "why": why,
        "queue": _text(delivery_info.get("routing_key")) or ENTRY_QUEUE,
        "task": _text(headers.get("task")),
        "id": _text(headers.get("id")),
        "headers": {name: plain(value, None if is_whole else MAX_KEPT_BYTES) for name, value in headers.items()},
        "properties": {name: plain(properties.get(name)) for name in ("correlation_id", "reply_to", "priority")},
        "content_type": plain(message.content_type),
        "content_encoding": plain(message.content_encoding),
        "body": base64.b64encode(body if is_whole else body[:MAX_KEPT_BYTES]).decode(),
        "body_bytes": len(body),
    }


def keep(ledger: Ledger, message: Any, reason: Reason, why: str, **facts: Any) -> None:
    """Keep a message for the operator, and say so in the log.

    Args:
        ledger: Where it is kept.
        message: The kombu message.
        reason: Why no worker could use it.
        why: The same in a few words of its own, without any content of the message.
        facts: More for the line in the log.
    """
    number = ledger.dead_letters.add(letter_of(message, reason, why))
    log.error("dead letter added; see wanimate-worker dead", number=number, reason=reason, cause=why, **facts)


def publish_again(app: Celery, letter: DeadLetter) -> None:
    """Put the message of a letter that was kept whole back into its queue, as it was."""
    content = letter.content
    properties = {name: value for name, value in content["properties"].items() if value is not None}
    with app.producer_pool.acquire(block=True) as producer:
        producer.publish(
            base64.b64decode(content["body"]),
            exchange="",
            routing_key=content["queue"],
            headers=content["headers"],
            content_type=content["content_type"],
            content_encoding=content["content_encoding"],
            **properties,
        )


def _fields(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _bytes(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else shown(body or "")).encode(errors="backslashreplace")


def _text(value: Any) -> str | None:
    """Return the beginning of a text as every terminal can show it; None for what is no text."""
    return value[:100].encode(errors="backslashreplace").decode() if isinstance(value, str) else None
