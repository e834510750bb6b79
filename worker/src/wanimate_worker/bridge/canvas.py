"""What hangs on a job's message (chain, group, chord, callbacks): kept in its record, and called when the job ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery.app.task import Context
from celery.app.trace import build_tracer
from celery.utils.functional import maybe_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery import Task

#: What Celery must call when a task ends; a message without any of it needs only its result stored.
_CALLED: Final = ("chain", "chord", "link", "link_error")


def capture(request: Context, *, ignore_result: bool) -> dict[str, Any]:
    """Return all of a message but its arguments, as options of `create_task_message` (Celery, `app.amqp`).

    `expires` is left out: it limits when a task starts.

    Args:
        request: The message, as Celery's context of a task.
        ignore_result: Whether the caller asked for no result.
    """
    options = request.as_execution_options()
    for name in ("task_id", "expires", "soft_time_limit", "time_limit"):
        options.pop(name, None)
    if options["root_id"] == request.id:
        options["root_id"] = None
    options["argsrepr"] = getattr(request, "argsrepr", None)
    options["kwargsrepr"] = getattr(request, "kwargsrepr", None)
    options["ignore_result"] = ignore_result
    # Flower has seen it.
    options["seen"] = True
    # Only what is absent is left out: a stamp may well be False or 0.
    return {name: value for name, value in options.items() if value is not None}


def caller_of(request: Context) -> str:
    """Return what names a message, if a chain, a chord or callbacks hang on it; empty if nothing would miss it.

    A message that is delivered again keeps its tag, and one that is sent again gets another.
    """
    if not (request.chain or request.chord or request.callbacks or request.errbacks):
        return ""
    return str((request.properties or {}).get("delivery_tag") or "")


def is_plain(captured: Mapping[str, Any]) -> bool:
    """Whether nothing is called when the task ends.

    Args:
        captured: What `capture` returned.
    """
    return not any(captured.get(name) for name in _CALLED)


def context_of(task_id: str, captured: Mapping[str, Any]) -> Context:
    """Return what Celery's result backend needs to know of a task on which nothing hangs.

    Args:
        task_id: The task.
        captured: What `capture` returned.
    """
    return Context(
        id=task_id,
        group=captured.get("group_id"),
        parent_id=captured.get("parent_id"),
        ignore_result=bool(captured.get("ignore_result")),
    )


def run_to_end(task: Task, task_id: str, kwargs: Mapping[str, Any], captured: Mapping[str, Any]) -> None:
    """Run a task in this thread, as if its message had just come: Celery stores the result and calls what hangs on it.

    Args:
        task: The task.
        task_id: Its id.
        kwargs: Its keyword arguments.
        captured: What `capture` returned; empty for a task that never had a message.
    """
    options = dict(captured)
    options.pop("seen", None)
    link, link_error = maybe_list(options.pop("link", None)), maybe_list(options.pop("link_error", None))
    custom = options.pop("headers", None) or {}
    message = task.app.amqp.create_task_message(
        task_id, task.name, (), dict(kwargs), callbacks=link, errbacks=link_error, **options
    )
    (args, kwargs, embedded), properties = message.body, message.properties
    request = {
        **message.headers,
        **custom,
        **embedded,
        "is_eager": False,
        "properties": properties,
        "delivery_info": {},
        "correlation_id": properties.get("correlation_id"),
        "reply_to": properties.get("reply_to"),
    }
    # A worker's consumer has made the first.
    trace = task.__trace__ or build_tracer(task.name, task, app=task.app)
    trace(task_id, args, kwargs, request)
