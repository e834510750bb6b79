"""What messages of any sender say: their task and id, what is wrong with their form, the jobs they ask for."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from celery.app.task import Context
from kombu.utils.json import loads
from wanimate.contract import CONTRACT_HEADER, CONTRACT_VERSION, parse_job
from wanimate.errors import InvalidRequest, JobCancelled

from ..ledger import JobFields

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import UnionType

    from wanimate.contract import Job

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
#: What a header of the same name would hide.
_METHODS: Final = frozenset(name for name in dir(Context) if callable(getattr(Context, name)))
#: Where the jobs of a `wanimate.enqueue` body begin.
_JOBS: Final = re.compile(r'"jobs"\s*:\s*\[')
_BETWEEN: Final = re.compile(r"[\s,]*")

# -- the form of a message ------------------------------------------------------------------------------------------


def headers_of(message: Any) -> dict[str, Any]:
    """Return a message's own headers; none where something else stands in their place."""
    return message.headers if isinstance(message.headers, dict) else {}


def contract_of(message: Any) -> int:
    """Return the contract version of the library that made a message; ours if it does not say."""
    version = headers_of(message).get(CONTRACT_HEADER, CONTRACT_VERSION)
    return version if isinstance(version, int) else CONTRACT_VERSION


def about(message: Any) -> dict[str, Any]:
    """Return what names a message's task and id, in either version of Celery's protocol."""
    headers = headers_of(message)
    if "task" in headers:
        return headers
    try:
        payload = message.payload
    except Exception:  # noqa: BLE001 - whatever a decoder raises
        return {}
    return payload if isinstance(payload, dict) else {}


def problem_of(message: Any) -> str | None:
    """Return what is wrong with a message's form; None for one that Celery can take (Celery's "Message Protocol").

    Celery checks some of it only while it runs the task, and fails there, with the message held.
    """
    try:
        payload = message.payload
    except Exception as error:  # noqa: BLE001 - whatever a decoder raises
        return f"its body cannot be decoded ({type(error).__name__})"
    names = about(message)
    if "task" not in names:
        # The consumer keeps it as no task.
        return None
    if names is payload:
        is_sound = isinstance(payload.get("args", []), list) and isinstance(payload.get("kwargs", {}), dict)
    else:
        is_sound = isinstance(payload, list | tuple) and _is_body(*payload) and _are_headers(names)
    is_sound = is_sound and is_name(names["task"]) and is_name(names.get("id"))
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


# -- one job --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Call:
    """One message that asks for a job.

    Args:
        message: The kombu message.
        context: The same as Celery's context of a task.
        request: Its keyword arguments: `type` and the fields of the job.
        captured: What is kept of it.
    """

    message: Any
    context: Context
    request: Mapping[str, Any]
    captured: dict[str, Any]

    @property
    def task_id(self) -> str:
        """The Celery task."""
        return str(self.context.id)

    @property
    def tag(self) -> str:
        """What names the message: one that is delivered again keeps its tag, one that is sent again gets another."""
        return str((self.context.properties or {}).get("delivery_tag") or "")

    @property
    def caller(self) -> str:
        """The tag, if the message has a chain, a chord or callbacks; empty if it has none."""
        return "" if is_plain(self.captured) else self.tag

    @classmethod
    def read(cls, message: Any) -> Call:
        """Read a message whose form was checked (`problem_of`)."""
        args, kwargs, embedded = parts_of(message)
        headers = {name: value for name, value in about(message).items() if name not in _METHODS}
        if "task" not in headers_of(message):
            headers["headers"] = None
        if CONTRACT_HEADER not in headers:
            # Made by other Celery code: its arguments would show in Flower as they are.
            headers["argsrepr"], headers["kwargsrepr"] = "()", _summary(kwargs)
        properties = dict(message.properties)
        context = Context(
            {
                **headers,
                # An eta would be waited for in a worker's memory, an expired message be discarded together with the job
                # that is recorded already, and a time limit would kill a request whose answer is then lost.
                **dict.fromkeys(("eta", "expires")),
                "timelimit": [None, None],
                **{name: embedded.get(name) for name in _CALLED},
                "args": args,
                "kwargs": kwargs,
                "properties": properties,
                "delivery_info": dict(message.delivery_info or {}),
                "reply_to": properties.get("reply_to"),
                "correlation_id": properties.get("correlation_id"),
            }
        )
        return cls(message, context, kwargs, capture(context))

    def job(self) -> Job:
        """Return the job, if a worker may take it.

        Raises:
            InvalidRequest: It breaks the rules, has positional arguments, or asks for a later start.
            JobCancelled: It has expired.
        """
        names, (args, _, _) = about(self.message), parts_of(self.message)
        if args:
            raise InvalidRequest("expected keyword arguments, got positional ones: type=…, image_url=…, video_url=…")
        if names.get("eta"):
            raise InvalidRequest(
                "eta and countdown are not supported: enqueue the job when it should start, such as from a scheduler"
            )
        if names.get("expires") and _moment(names["expires"]) < datetime.now(UTC):
            raise JobCancelled(
                "it expired before a worker recorded it; nothing was sent to the vendor, nothing is billed"
            )
        return parse_job(self.request)

    def as_record(self) -> JobFields:
        """Return the call as a job that has no record."""
        return JobFields(self.task_id, message=self.captured, request=dict(self.request))


def parts_of(message: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Return the arguments, keyword arguments and what is called afterwards of a message whose form was checked."""
    payload = message.payload
    if isinstance(payload, dict):
        # The first version of Celery's message protocol.
        return payload.get("args", []), payload.get("kwargs", {}), payload
    args, kwargs, *embedded = payload
    return args, kwargs, (embedded[0] if embedded else None) or {}


def _summary(kwargs: Mapping[str, Any]) -> str:
    """Return what may be shown of a request that other Celery code has sent."""
    try:
        return parse_job(kwargs).summary()
    except Exception:  # noqa: BLE001 - its caller gets the error when the message is checked
        return "(not a valid job)"


def _moment(iso: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(iso)
    except (ValueError, TypeError):
        raise InvalidRequest("expires: expected a time in ISO 8601, as Celery sends it") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


# -- what is kept of a message --------------------------------------------------------------------------------------


def capture(request: Context) -> dict[str, Any]:
    """Return all of a message but its arguments, as options of `create_task_message` (Celery, `app.amqp`).

    Args:
        request: The message, as Celery's context of a task; without `expires`, which limits when a task starts.
    """
    options = {
        **request.as_execution_options(),
        "task_id": None,
        "argsrepr": getattr(request, "argsrepr", None),
        "kwargsrepr": getattr(request, "kwargsrepr", None),
        "ignore_result": bool(request.ignore_result),
        # Flower has seen it.
        "seen": True,
    }
    if options["root_id"] == request.id:
        options["root_id"] = None
    # Only what is absent is left out: a stamp may well be False or 0.
    return {name: value for name, value in options.items() if value is not None}


def is_plain(captured: Mapping[str, Any]) -> bool:
    """Whether nothing is called when the task ends whose message was captured: only its result is stored."""
    return not any(captured.get(name) for name in ("chain", "chord", "link", "link_error"))


# -- a bulk that cannot be read as a whole --------------------------------------------------------------------------


def read_piecemeal(body: Any) -> tuple[list[Any], list[str]]:
    """Return the pairs of id and request that Celery can read in the body of a bulk, and the ids of the others."""
    sound, damaged = [], []
    for pair in _pairs(body):
        try:
            sound.append(loads(json.dumps(pair).encode("ascii")))
        except Exception:  # noqa: BLE001 - whatever a decoder raises
            if isinstance(pair, list) and pair and is_name(pair[0]):
                damaged.append(pair[0])
    return sound, damaged


def _pairs(body: Any) -> list[Any]:
    """Return the jobs up to the first place that is no JSON."""
    text = body if isinstance(body, str) else bytes(body or b"").decode(errors="surrogateescape")
    begin, pairs = _JOBS.search(text), []
    position = begin.end() if begin else len(text)
    decode = json.JSONDecoder().raw_decode
    try:
        while position < len(text):
            between = _BETWEEN.match(text, position)
            pair, position = decode(text, between.end() if between else position)
            pairs.append(pair)
    except (ValueError, RecursionError):
        # The end of the list, or of what can be read.
        pass
    return pairs
