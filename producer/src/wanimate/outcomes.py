"""Reads the outcome of a job from Celery's result or from its record."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic import ValidationError

from . import errors
from .contract import Outcome, Result

#: Final states of Celery; only the first has a result.
_FINAL: Final = frozenset({"SUCCESS", "FAILURE", "REVOKED"})
_JOB_FAILED_ARGUMENTS: Final = 4


def read_meta(stored: str | None) -> dict[str, Any] | None:
    """Return Celery's result record of an ended task, or None if it has not ended.

    Raises:
        WanimateError: The stored value is not a result record.
    """
    if stored is None:
        return None
    try:
        meta: dict[str, Any] = json.loads(stored)
        return meta if meta["status"] in _FINAL else None
    except (ValueError, TypeError, LookupError):
        raise errors.WanimateError(
            "the stored result is unreadable: no worker writes such a value. Find out which other program writes to "
            "this Redis database"
        ) from None


def read_ending(stored: str | None) -> Result | errors.JobFailed | None:
    """Return the outcome of a job by Celery's result record, or None if it has not ended."""
    try:
        meta = read_meta(stored)
    except errors.WanimateError as unreadable:
        return errors.JobFailed(
            f"{unreadable}. The job may be running or billed: check it with `wanimate-worker show` before you enqueue "
            "it again"
        )
    if meta is None:
        return None
    if meta["status"] == "SUCCESS":
        try:
            return Result.model_validate(meta.get("result"))
        except ValidationError:
            return errors.JobFailed(
                "the job ended, but this version of wanimate cannot read its stored result: upgrade wanimate"
            )
    if meta["status"] == "REVOKED":
        return errors.JobCancelled(
            "the task was revoked by Celery, not cancelled by wanimate: if it had been submitted to the vendor, it may "
            "be billed"
        )
    error = read_error(meta)
    if not isinstance(error, errors.JobFailed):
        error = errors.JobFailed(f"the worker failed; the vendor did not cause this: {error}")
    return error


def ending_of_record(outcome: str) -> Result | errors.JobFailed:
    """Return the outcome of a job by its record."""
    try:
        read = Outcome.model_validate_json(outcome)
    except ValidationError:
        return errors.JobFailed("the job ended, but this version of wanimate cannot read its record: upgrade wanimate")
    return read.result or read.exception()


def read_error(meta: dict[str, Any]) -> errors.WanimateError:
    """Return the error in the result record of a failed task."""
    stored = meta.get("result")
    if not isinstance(stored, dict):
        return errors.WanimateError(str(stored))
    name = str(stored.get("exc_type", "error"))
    message = stored.get("exc_message")
    arguments = message if isinstance(message, list) else [message]
    known = getattr(errors, name, None)
    # Only our own errors: a name in a stored result must never select another class to call.
    is_ours = isinstance(known, type) and issubclass(known, errors.WanimateError)
    if known is None or not is_ours or stored.get("exc_module") not in {None, errors.__name__}:
        return errors.WanimateError(f"{name}: {', '.join(str(argument) for argument in arguments)}")
    error: errors.WanimateError = known(*(a if a is None else str(a) for a in arguments[:_JOB_FAILED_ARGUMENTS]))
    return error
