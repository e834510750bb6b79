"""Messages that no worker could use: kept with the reason, so that an operator can look and put them back."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from enum import StrEnum
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from wanimate.contract import CONTRACT_HEADER, ENTRY_QUEUE

from ..plain_json import plain, shown
from ..telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import UnionType

    from celery import Celery

    from ..ledger import Ledger

log = get_logger(__name__)

#: A message that can be put back is kept whole. Of others so much is kept, in bytes, for an investigation.
MAX_KEPT_BYTES: Final = 16 * 1024
#: Far longer than any name; it must not fill a log, or the memory of Redis.
_MAX_NAME_BYTES: Final = 1024
#: The headers of a task that Celery uses without looking what they are ("Message Protocol", version 2).
_HEADERS: Final[dict[str, type | UnionType]] = {
    **dict.fromkeys(("root_id", "parent_id", "group", "shadow", "eta", "expires", "origin"), str | None),
    **dict.fromkeys(("argsrepr", "kwargsrepr"), str | None),
    **dict.fromkeys(("retries", "group_index", "replaced_task_nesting"), int | None),
    **dict.fromkeys(("timelimit", "stamped_headers"), list | tuple | None),
    **dict.fromkeys(("stamps", "headers"), dict | None),
    "ignore_result": bool | None,
}
#: What may stand in the third part of a body, beside arguments and keyword arguments: what is called afterwards.
_CALLED: Final = frozenset({"callbacks", "errbacks", "chain", "chord"})


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
        return cls(stored, int(number), json.loads(content))

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
        about = message.headers
        is_sound = isinstance(payload, list | tuple) and _is_body(*payload) and _are_headers(about)
    elif isinstance(payload, dict) and "task" in payload:
        about = payload
        is_sound = isinstance(payload.get("args", []), list) and isinstance(payload.get("kwargs", {}), dict)
    else:
        return None
    is_sound = is_sound and is_name(about["task"]) and is_name(about.get("id"))
    return None if is_sound else "its parts are not those of a task"


def _is_body(args: object = None, kwargs: object = None, called: object = 0, *more: object) -> bool:
    if more or not isinstance(args, list) or not isinstance(kwargs, dict) or not isinstance(called, dict | None):
        return False
    # Celery takes whatever stands here for the request's own, its id for example.
    return called is None or (called.keys() <= _CALLED and all(map(_are_signatures, called.values())))


def _are_signatures(value: object) -> bool:
    signatures = value if isinstance(value, list) else [value]
    return value is None or all(isinstance(each, dict) and isinstance(each.get("task"), str) for each in signatures)


def _are_headers(headers: dict[str, Any]) -> bool:
    are_known = all(isinstance(headers.get(name), kind) for name, kind in _HEADERS.items())
    limits, stamped = headers.get("timelimit") or (None, None), headers.get("stamped_headers") or ()
    return are_known and len(limits) == len((None, None)) and all(isinstance(name, str) for name in stamped)


def is_name(value: object) -> bool:
    """Return whether a value can name a task or a job, and so a key in Redis."""
    try:
        return isinstance(value, str) and 0 < len(value.encode()) <= _MAX_NAME_BYTES
    except UnicodeEncodeError:
        return False


def letter_of(message: Any, reason: Reason, why: str) -> dict[str, Any]:
    """Return a message as it is kept.

    Args:
        message: The kombu message.
        reason: Why no worker could use it.
        why: The same in a few words of its own, without any content of the message.
    """
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
        message: The kombu message, or what `run_message` makes.
        reason: Why no worker could use it.
        why: The same in a few words of its own, without any content of the message.
        facts: More for the line in the log.
    """
    number = ledger.dead_letters.add(letter_of(message, reason, why))
    log.error("dead letter; look at it with wanimate-worker dead", number=number, reason=reason, cause=why, **facts)


def run_message(request: Mapping[str, Any], args: Any, kwargs: Any) -> Any:
    """Return what a task was run with as a message, for a letter.

    Args:
        request: The task's request, as Celery gives it to the tracer.
        args: Its arguments.
        kwargs: Its keyword arguments.
    """
    properties, delivery_info = request.get("properties"), request.get("delivery_info")
    headers = {name: value for name, value in request.items() if name in {"id", "task", CONTRACT_HEADER}}
    return SimpleNamespace(
        headers=headers,
        properties=properties,
        delivery_info=delivery_info,
        body=json.dumps([plain(args), plain(kwargs), {}]),
        content_type="application/json",
        content_encoding="utf-8",
    )


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


def _fields(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _bytes(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else shown(body or "")).encode(errors="backslashreplace")


def _text(value: Any) -> str | None:
    """Return the beginning of a text as every terminal can show it; None for what is no text."""
    return value[:100].encode(errors="backslashreplace").decode() if isinstance(value, str) else None
