"""How a Celery result reads as the end of a job."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic import ValidationError

from . import errors
from .contract import Outcome, Result

#: The first of these is the only one that carries a result.
_FINAL: Final = frozenset({"SUCCESS", "FAILURE", "REVOKED"})
_JOB_FAILED_ARGUMENTS: Final = 4


def read_meta(stored: str | None) -> dict[str, Any] | None:
    """Return Celery's result record of a task that has ended, or None while it has not.

    Raises:
        WanimateError: It is no such record.
    """
    if stored is None:
        return None
    try:
        meta: dict[str, Any] = json.loads(stored)
        return meta if meta["status"] in _FINAL else None
    except (ValueError, TypeError, LookupError):
        raise errors.WanimateError(
            "the stored result cannot be read: it is not what a worker writes, so find out what else writes into this "
            "Redis database"
        ) from None


def read_ending(stored: str | None) -> Result | errors.JobFailed | None:
    """Return how a job ended by Celery's result record, or None while it has not."""
    try:
        meta = read_meta(stored)
    except errors.WanimateError as unreadable:
        return errors.JobFailed(
            f"{unreadable}. The job may go on, or have been billed: ask wanimate-worker show how it stands before you "
            "enqueue it again"
        )
    if meta is None:
        return None
    if meta["status"] == "SUCCESS":
        try:
            return Result.model_validate(meta.get("result"))
        except ValidationError:
            return errors.JobFailed(
                "the job ended, but its stored result is not one that this version of wanimate can read"
            )
    if meta["status"] == "REVOKED":
        return errors.JobCancelled(
            "the task was revoked through Celery itself, not through wanimate: if it had been sent to the vendor by "
            "then, it may have been billed"
        )
    error = read_error(meta)
    if not isinstance(error, errors.JobFailed):
        error = errors.JobFailed(f"the worker failed for a reason of its own, not the vendor's: {error}")
    return error


def ending_of_record(outcome: str) -> Result | errors.JobFailed:
    """Return how a job ended, as its record says."""
    try:
        read = Outcome.model_validate_json(outcome)
    except ValidationError:
        return errors.JobFailed("the job ended, but its record is not one that this version of wanimate can read")
    return read.result or read.exception()


def read_error(meta: dict[str, Any]) -> errors.WanimateError:
    """Return the error in the result record of a task that failed."""
    stored = meta.get("result")
    if not isinstance(stored, dict):
        return errors.WanimateError(str(stored))
    name = str(stored.get("exc_type", "error"))
    message = stored.get("exc_message")
    arguments = message if isinstance(message, list) else [message]
    known = getattr(errors, name, None)
    # Only our own tree is looked up: a name in a stored result must never choose any other class to be called.
    is_ours = isinstance(known, type) and issubclass(known, errors.WanimateError)
    if known is None or not is_ours or stored.get("exc_module") not in {None, errors.__name__}:
        return errors.WanimateError(f"{name}: {', '.join(str(argument) for argument in arguments)}")
    error: errors.WanimateError = known(*(a if a is None else str(a) for a in arguments[:_JOB_FAILED_ARGUMENTS]))
    return error
