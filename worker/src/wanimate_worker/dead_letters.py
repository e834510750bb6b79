"""Messages that nobody could use: kept with the reason, so that an operator can look and put them back."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import orjson
from wanimate.contract import CONTRACT_HEADER, ENTRY_QUEUE

if TYPE_CHECKING:
    from celery import Celery

#: A message that can be put back is kept whole. Of others so much is kept, in bytes, for whoever investigates.
MAX_KEPT_BYTES: Final = 16 * 1024
#: Arguments, keyword arguments, and callbacks.
_BODY_PARTS: Final = 3


class Reason(StrEnum):
    """Why nobody could use a message."""

    #: A newer version of the library made it. It can be put back once the workers know that version.
    NEWER_CONTRACT = "newer contract"
    #: No worker here knows a task of this name.
    UNKNOWN_TASK = "unknown task"
    #: Its body or its form makes no sense.
    UNREADABLE = "unreadable"
    #: It names no task at all.
    NO_TASK = "no task"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One kept message.

    Args:
        stored: As it is stored, to remove it by.
        number: Its number.
        content: Its reason and the parts of the message.
    """

    stored: str
    number: int
    content: dict[str, Any]

    @classmethod
    def read(cls, stored: str) -> DeadLetter:
        """Read a stored letter."""
        number, _, content = stored.partition(" ")
        return cls(stored, int(number), orjson.loads(content))

    @property
    def contract(self) -> int | None:
        """The contract version of the library that made it, if it says."""
        version = (self.content.get("headers") or {}).get(CONTRACT_HEADER)
        return version if isinstance(version, int) else None

    def can_be_replayed(self, known_contract: int) -> bool:
        """Whether it was kept for its contract version alone, and workers now know that one.

        Args:
            known_contract: The version that this installation knows.
        """
        return self.content["reason"] == Reason.NEWER_CONTRACT.value and (self.contract or 0) <= known_contract

    def facts(self) -> dict[str, Any]:
        """Return what may be shown: never the body, which holds URLs and prompts."""
        return {
            "number": self.number,
            "at_ms": self.content["at_ms"],
            "reason": self.content["reason"],
            "why": self.content["why"],
            "queue": self.content["queue"],
            "task": self.content.get("task"),
            "id": self.content.get("id"),
            "contract": self.contract,
            "body_bytes": self.content["body_bytes"],
        }


def problem_of(message: Any) -> str | None:
    """Return what is wrong with a message's form; None for one that Celery can take (Celery's "Message Protocol").

    Celery itself finds some of these by an exception that ends the worker, which the next worker then repeats.

    Args:
        message: The kombu message; one without a task's name in its headers is left to Celery unless it looks like
            a task of the first version of the protocol.
    """
    try:
        payload = message.payload
    except Exception as error:  # noqa: BLE001 - whatever a decoder raises
        return f"its body cannot be decoded ({type(error).__name__})"
    if isinstance(message.headers, dict) and "task" in message.headers:
        names = (message.headers["task"], message.headers.get("id"))
        parts = payload if isinstance(payload, list | tuple) else ()
        is_sound = [type(part) for part in parts[:2]] == [list, dict] and len(parts) == _BODY_PARTS
    elif isinstance(payload, dict) and "task" in payload:
        names = (payload["task"], payload.get("id"))
        is_sound = isinstance(payload.get("args", []), list) and isinstance(payload.get("kwargs", {}), dict)
    else:
        return None
    return None if is_sound and all(isinstance(name, str) for name in names) else "its parts are not those of a task"


def letter_of(message: Any, reason: Reason, why: str) -> dict[str, Any]:
    """Return a message as it is kept.

    Args:
        message: The kombu message.
        reason: Why nobody could use it.
        why: The same in a few words of its own, without any content of the message.
    """
    headers = message.headers if isinstance(message.headers, dict) else {}
    properties = message.properties if isinstance(message.properties, dict) else {}
    body = message.body if isinstance(message.body, bytes) else str(message.body or "").encode()
    kept = body if reason is Reason.NEWER_CONTRACT else body[:MAX_KEPT_BYTES]
    return {
        "at_ms": round(time.time() * 1000),
        "reason": reason.value,
        "why": why,
        "queue": (message.delivery_info or {}).get("routing_key") or ENTRY_QUEUE,
        "task": _text(headers.get("task")),
        "id": _text(headers.get("id")),
        "headers": headers,
        "properties": {name: properties.get(name) for name in ("correlation_id", "reply_to", "priority")},
        "content_type": message.content_type,
        "content_encoding": message.content_encoding,
        "body": base64.b64encode(kept).decode(),
        "body_bytes": len(body),
    }


def publish_again(app: Celery, letter: DeadLetter) -> None:
    """Put a letter's message back into its queue, as it was.

    Args:
        app: The Celery app.
        letter: The letter, kept whole.
    """
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


def _text(value: Any) -> str | None:
    return value[:100] if isinstance(value, str) else None
