"""Further callers of a job: each is recorded, and gets the outcome of the one job that is paid."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import orjson
from kombu.utils.json import dumps
from wanimate.contract import Outcome
from wanimate.errors import SubmissionUnknown

from .script import Concern, script

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOST: Final = "the record of job {} is lost: the vendor may have accepted and billed it, or not. Look in its task list"


@dataclass(frozen=True, slots=True)
class Follower:
    """One more caller of a job.

    Args:
        record_id: What it is recorded as.
        celery_id: Its Celery task id, under which its result is stored.
        leader: The job.
        message: What is kept of its Celery message.
        request: The keyword arguments of its task.
        fingerprint: The digest of the request, which must be that of the job.
        caller: Names this call.
    """

    record_id: str
    celery_id: str
    leader: str
    message: dict[str, Any]
    request: Mapping[str, Any]
    fingerprint: str
    caller: str


class Followed(StrEnum):
    """What became of a follower."""

    #: It ends when its leader ends.
    FOLLOWING = "following"
    #: Its outcome is known and must be delivered.
    SETTLED = "settled"
    #: This very call was recorded before.
    KNOWN = "known"
    #: Another call is recorded under this id.
    TAKEN = "taken"
    #: The leader has no record, or one whose result has expired.
    LEADERLESS = "leaderless"
    #: The leader is for another request.
    CONFLICT = "conflict"


class Followers(Concern):
    """The further callers of jobs."""

    def add(self, follower: Follower) -> Followed:
        """Record one more caller of a job."""
        return self._follow(
            follower.record_id,
            follower.celery_id,
            follower.leader,
            dumps(follower.message),
            orjson.dumps(follower.request).decode(),
            follower.fingerprint,
            follower.caller,
        )

    @script(Followed)
    def _follow(
        self,
        job_id: str,
        celery_id: str,
        leader_id: str,
        message: str,
        request_json: str,
        fingerprint: str,
        caller: str,
    ) -> Followed: ...

    def conclude(self, record_id: str, leader: str) -> bool:
        """Give a follower its leader's outcome, if there is one; True if it must be delivered.

        Args:
            leader: The job it follows.
        """
        lost = Outcome.failure(SubmissionUnknown(_LOST.format(leader)))
        return self._conclude(record_id, leader, lost.model_dump_json(exclude_none=True))

    @script(bool)
    def _conclude(self, job_id: str, leader_id: str, outcome_if_lost: str) -> bool: ...
