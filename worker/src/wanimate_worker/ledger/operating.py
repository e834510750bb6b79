"""What an operator changes by hand, and the messages that could not be used."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final, cast

from ..plain_json import plain_dumps
from .script import Cause, Concern, cause_of, script
from .values import Attachment, Retried, Retry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from redis.client import Pipeline
    from wanimate.contract import Outcome

#: Dead letters that are kept, the newest.
DEAD_LETTERS: Final = 1000


class FailedJobs(Concern):
    """Jobs that failed, and may be run again."""

    def retry(
        self, job_id: str, *, priority: int, deadline_ms: int | None, result_key: str, cause: str = "retried by hand"
    ) -> Retry:
        """Retry a failed job under the same id; it will be billed again.

        Args:
            priority: 0 (most urgent) to 9.
            deadline_ms: Its deadline from now on, in milliseconds; None if it has none.
            result_key: Where Celery keeps the result of its failure; removed once the job has left it.
            cause: Who wants it, for its history.
        """
        old = self._stored(result_key)
        verdict, *granted = self._retry(job_id, priority, deadline_ms, cause)
        answer = Retry(Retried(verdict), granted)
        if answer.verdict is Retried.RETRIED:
            self._forget_result(result_key, old)
        return answer

    @script(list)
    def _retry(self, job_id: str, priority: int, deadline_ms: int | None, why: Cause) -> list[str]: ...

    def replace_outcome(
        self, job_id: str, settled_at_ms: str, outcome: Outcome, *, task_id: str, result_key: str
    ) -> bool:
        """Replace a job's failure by another outcome, which is delivered anew; False if it has no such failure now.

        Args:
            job_id: The job; work on it must go on afterwards.
            settled_at_ms: When the failure was settled, as the record says.
            outcome: How the vendor's task ended.
            result_key: Where Celery keeps the result of the failure; removed once the job has left it.
        """
        old = self._stored(result_key)
        cause = cause_of(outcome, f"found by hand as {task_id}")
        if not self._replace_outcome(job_id, settled_at_ms, outcome, task_id, cause):
            return False
        self._forget_result(result_key, old)
        return True

    @script(bool)
    def _replace_outcome(self, job_id: str, settled_at_ms: str, outcome: Outcome, task_id: str, why: Cause) -> bool: ...

    def attach_task(self, job_id: str, settled_at_ms: str, *, task_id: str, result_key: str) -> Attachment:
        """Make a failed job run again with a task that the vendor still renders; it needs a free slot.

        Args:
            settled_at_ms: When the failure was settled, as the record says.
            result_key: Where Celery keeps the result of the failure; removed once the job has left it.
        """
        old = self._stored(result_key)
        why = f"{task_id} found by hand"
        attachment = self._attach_task(job_id, settled_at_ms, secrets.token_hex(8), task_id, why)
        if attachment is Attachment.ATTACHED:
            self._forget_result(result_key, old)
        return attachment

    @script(Attachment)
    def _attach_task(self, job_id: str, settled_at_ms: str, nonce: str, task_id: str, why: Cause) -> Attachment: ...

    def _stored(self, result_key: str) -> str | None:
        return cast("str | None", self._redis.get(result_key))

    def _forget_result(self, result_key: str, old: str | None) -> None:
        """Delete the result of a failure that was taken back, so that those who wait get the new outcome.

        Only that very result: by now the job may have ended anew. It is not one of the ledger's keys, so it has its own
        step, the last: a process that dies before it leaves the old failure until the new outcome replaces it.
        """

        def delete(pipeline: Pipeline) -> None:
            is_old = pipeline.get(result_key) == old
            pipeline.multi()
            if is_old:
                pipeline.delete(result_key)

        if old is not None:
            self._redis.transaction(delete, result_key)


class DeadLetters(Concern):
    """Messages that could not be used."""

    def add(self, letter: Mapping[str, Any]) -> int:
        """Keep a message that could not be used, and return how many there were since the list was empty."""
        return self._add_dead_letter(plain_dumps(letter), DEAD_LETTERS)

    @script(int)
    def _add_dead_letter(self, letter: str, most: int) -> int: ...

    def remove(self, stored: str) -> bool:
        """Remove one dead letter, as `read` returned it; False if it is gone."""
        return bool(self._redis.lrem(self._keys.dead, 1, stored))

    def clear(self) -> int:
        """Remove all dead letters, and return how many there were."""
        with self._redis.pipeline() as pipeline:
            pipeline.llen(self._keys.dead)
            pipeline.delete(self._keys.dead)
            return int(pipeline.execute()[0])

    def read(self) -> list[str]:
        """Return the dead letters as they are stored (number, space, JSON), the newest first."""
        return list(cast("list[str]", self._redis.lrange(self._keys.dead, 0, -1)))
