"""The videos that are copied to the account's store before their outcomes are delivered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
from wanimate.contract import Outcome

from .script import Cause, Concern, script

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: At most so many failed or running copies are searched for the one that expires first.
_SAMPLE_SIZE: Final = 5_000
_FIELDS: Final = ("rendered", "request", "rendered_at_ms", "keep_tries")


@dataclass(frozen=True, slots=True)
class Keep:
    """A job whose video is this caller's to copy, until the lease ends.

    Args:
        job_id: The job.
        outcome: How its task ended, with the URLs of the vendor.
        request: The keyword arguments of its task.
        rendered_at_ms: When its end was noticed, in Redis time.
        expires_at_ms: When the vendor stops serving the video, by the vendor's documents.
        claimed_at_ms: When it was claimed, in Redis time.
        tries: How many copies failed.
    """

    job_id: str
    outcome: Outcome
    request: Mapping[str, Any]
    rendered_at_ms: int
    expires_at_ms: int
    claimed_at_ms: int
    tries: int = 0

    def without_copy(self) -> Outcome:
        """Return the outcome of a job whose video is not copied: the vendor's URLs."""
        result = self.outcome.result
        update = {} if result is None else {"result": result.model_copy(update={"kept": False})}
        return self.outcome.model_copy(update=update)

    @property
    def member(self) -> str:
        """How it stands in `keeping_later`."""
        return f"{self.expires_at_ms} {self.job_id}"


@dataclass(frozen=True, slots=True)
class CopyBacklog:
    """The videos that are to be copied.

    Args:
        jobs: How many jobs have one.
        job_id: The job whose video the vendor stops serving first; of a sample, where there are very many.
        expires_at_ms: When that is, by the vendor's documents.
        rendered_at_ms: When its end was noticed, in Redis time.
        tries: How many copies of it failed.
        why: What the last one failed with.
    """

    jobs: int = 0
    job_id: str = ""
    expires_at_ms: int = 0
    rendered_at_ms: int = 0
    tries: int = 0
    why: str = ""


class Keeps(Concern):
    """The videos of one account that are to be copied."""

    def claim(self, most: int) -> list[Keep]:
        """Claim jobs whose videos are to be copied, those first that the vendor stops serving first."""
        now_ms, *members = self._claim_keeps(most)
        split = [member.split(" ", 1) for member in members]
        with self._redis.pipeline(transaction=False) as pipeline:
            for _, job_id in split:
                pipeline.hmget(self._keys.job(job_id), *_FIELDS)
            rows = cast("list[list[str | None]]", pipeline.execute()) if split else []
        keeps = []
        for (expires_ms, job_id), (rendered, request, rendered_at_ms, tries) in zip(split, rows, strict=True):
            if rendered is None:
                # Its record was deleted.
                self._postpone_keep(job_id, f"{expires_ms} {job_id}", "", 0)
                continue
            keeps.append(
                Keep(
                    job_id,
                    Outcome.model_validate_json(rendered),
                    orjson.loads(request or "{}"),
                    int(rendered_at_ms or now_ms),
                    int(expires_ms),
                    now_ms,
                    int(tries or 0),
                )
            )
        return keeps

    @script(list)
    def _claim_keeps(self, most: int) -> list[Any]: ...

    def renew(self, keeps: Iterable[Keep]) -> None:
        """Prolong the leases of videos that are being copied."""
        self._renew_keeps([keep.member for keep in keeps])

    @script()
    def _renew_keeps(self, members: Sequence[str]) -> None: ...

    def finish(self, keep: Keep, outcome: Outcome) -> bool:
        """Settle a job whose video was copied, or can be no more; True if its outcome must be delivered."""
        return self._finish_keep(keep.job_id, outcome)

    @script(bool)
    def _finish_keep(self, job_id: str, outcome: Outcome) -> bool: ...

    def postpone(self, keep: Keep, why: str, delay_ms: int) -> bool:
        """Record why a copy failed, and retry it after a delay; False if it is not to be copied any more."""
        return self._postpone_keep(keep.job_id, keep.member, why, delay_ms)

    @script(bool)
    def _postpone_keep(self, job_id: str, member: str, why: Cause, delay_ms: int) -> bool: ...

    def waiting(self) -> int:
        """Return how many videos are to be copied, or are being copied."""
        keys = self._keys
        return int(self._redis.zcard(keys.keeping)) + int(self._redis.zcard(keys.keeping_later))

    def backlog(self) -> CopyBacklog:
        """Return how many videos are to be copied, and the one that the vendor stops serving first."""
        keys = self._keys
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.zcard(keys.keeping)
            pipeline.zcard(keys.keeping_later)
            pipeline.zrange(keys.keeping, 0, 0, withscores=True)
            pipeline.zrandmember(keys.keeping_later, _SAMPLE_SIZE)
            new, later, first, members = pipeline.execute()
        found = [(int(expires_ms), job_id) for job_id, expires_ms in first]
        for member in members or ():
            expires_ms, job_id = member.split(" ", 1)
            found.append((int(expires_ms), job_id))
        if not found:
            return CopyBacklog()
        expires_ms, job_id = min(found)
        names = ("rendered_at_ms", "keep_tries", "keep_why")
        rendered_ms, tries, why = cast("list[str | None]", self._redis.hmget(keys.job(job_id), names))
        return CopyBacklog(new + later, job_id, expires_ms, int(rendered_ms or 0), int(tries or 0), why or "")
