"""The base class of the handles of both clients."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable

C = TypeVar("C")


class Handle(Generic[C]):
    """A job id and its client; it holds no connection."""

    __slots__ = ("_client", "id")

    def __init__(self, client: C, job_id: str | uuid.UUID) -> None:
        self._client = client
        #: The job id, which is also its Celery task id.
        self.id = _checked_id(job_id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handle) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)


def ids_of(handles: Iterable[Handle[Any]]) -> list[str]:
    """Return the ids of handles, in order; raise `InvalidArgument` for other objects."""
    ids = []
    for index, handle in enumerate(handles):
        job_id = getattr(handle, "id", None)
        if not isinstance(job_id, str):
            got = type(handle).__name__
            raise InvalidArgument(f"handles.{index}: expected a handle, got {got}: make one with client.job(id)")
        ids.append(job_id)
    return ids


def _checked_id(job_id: str | uuid.UUID) -> str:
    if isinstance(job_id, uuid.UUID):
        return str(job_id)
    if not isinstance(job_id, str) or not job_id:
        given = "an empty string" if job_id == "" else type(job_id).__name__
        raise InvalidArgument(f"job_id: expected a string or a UUID, got {given}")
    try:
        job_id.encode()
    except UnicodeEncodeError:
        raise InvalidArgument("job_id: not valid Unicode text") from None
    # A subclass of str, such as an enum, becomes its plain text for Redis and messages.
    return str.__str__(job_id)
