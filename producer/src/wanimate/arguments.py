"""Checks the arguments of calls before anything is sent."""

from __future__ import annotations

import math
import uuid
from numbers import Real
from typing import TYPE_CHECKING

from .errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .handle import AsyncJobHandle, JobHandle


def checked_id(job_id: str | uuid.UUID) -> str:
    """Return the id of a job as a string."""
    if isinstance(job_id, uuid.UUID):
        return str(job_id)
    if not isinstance(job_id, str) or not job_id:
        told = "an empty string" if job_id == "" else type(job_id).__name__
        raise InvalidArgument(f"job_id: a string or a UUID is expected, got {told}")
    try:
        job_id.encode()
    except UnicodeEncodeError:
        raise InvalidArgument("job_id: this is not valid Unicode text") from None
    # Also a subclass of str, such as an enum, is its plain text in Redis and in messages.
    return str.__str__(job_id)


def checked_ids(handles: Iterable[JobHandle | AsyncJobHandle]) -> list[str]:
    """Return the ids of jobs, in order."""
    ids = []
    for index, handle in enumerate(handles):
        job_id = getattr(handle, "id", None)
        if not isinstance(job_id, str):
            got = type(handle).__name__
            raise InvalidArgument(f"handles.{index}: a handle is expected, got {got}: make one with client.job(id)")
        ids.append(job_id)
    return ids


def checked_seconds(timeout: float | None) -> float | None:
    """Return a time-out in seconds; None is no bound."""
    return None if timeout is None else checked_bound(timeout)


def checked_bound(timeout: float) -> float:
    """Return a time-out in seconds, one that ends."""
    if isinstance(timeout, bool) or not isinstance(timeout, Real):
        raise InvalidArgument(f"timeout: a number of seconds is expected, got {type(timeout).__name__}")
    try:
        seconds = float(timeout)
    except OverflowError:
        seconds = math.inf
    if math.isnan(seconds) or seconds < 0:
        raise InvalidArgument(f"timeout: a number of seconds that is not negative is expected, got {seconds:g}")
    if math.isinf(seconds):
        raise InvalidArgument("timeout: it is infinite; leave it out, or give None, to wait for as long as it takes")
    return seconds
