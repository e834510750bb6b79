"""Whether an intent outlives the server that took it: on replicas, on its disk."""

from __future__ import annotations

from typing import Any, Final, cast

from redis.exceptions import ResponseError
from wanimate.errors import SettingsError

from .base import LedgerBase

#: Nothing is submitted for this long after an intent could not be made safe, in milliseconds: long enough that no
#: worker tries in a loop, short beside a fail-over.
UNSAFE_PAUSE_MS: Final = 5_000


class ConfirmingLedger(LedgerBase):
    """The part of the ledger that waits for replicas and for the disk."""

    def confirm(self, job_id: str, nonce: str) -> str | None:
        """Wait until the intent of an attempt is as safe as the settings ask; None if it is, else why not.

        The intent is written once more and the wait follows on the same connection. So a server that forgot the intent
        says so, and no connection that was opened in between is asked about writes it never made.

        Args:
            job_id: The job.
            nonce: The attempt.
        """
        limits = self._limits
        if not limits.intent_replicas and not limits.intent_fsync:
            return None
        with self._redis.pipeline(transaction=False) as pipeline:
            self._scripts.confirm(keys=[self._keys.job(job_id)], args=[nonce], client=pipeline)
            self._wait(pipeline)
            is_known, *waited = pipeline.execute(raise_on_error=False)
        if isinstance(is_known, Exception):
            raise is_known
        if not is_known:
            return "Redis does not know the intent any more"
        return self._shortfall(waited)

    def postpone(self, why: str) -> int:
        """Submit nothing for a while, and return for how long, in milliseconds; polls go on.

        Args:
            why: What the operator shall read.
        """
        self._scripts.postpone(keys=[self._keys.gate], args=[why, UNSAFE_PAUSE_MS])
        return UNSAFE_PAUSE_MS

    def check_intent_settings(self) -> None:
        """Make sure that the server can do what the settings of intents ask; replicas may come later.

        Raises:
            SettingsError: It cannot.
        """
        if self._limits.intent_fsync:
            try:
                cast("Any", self._redis).execute_command("WAITAOF", 1, 0, 1)
            except ResponseError as error:
                raise SettingsError(f"WANIMATE_INTENT_FSYNC: {_fsync_problem(error)}") from None

    def _wait(self, pipeline: Any) -> None:
        limits = self._limits
        if limits.intent_replicas:
            pipeline.execute_command("WAIT", limits.intent_replicas, limits.intent_timeout_ms)
        if limits.intent_fsync:
            pipeline.execute_command("WAITAOF", 1, 0, limits.intent_timeout_ms)

    def _shortfall(self, waited: list[Any]) -> str | None:
        limits = self._limits
        within = f"within {limits.intent_timeout_ms / 1000:g} s"
        if limits.intent_replicas:
            replicas = waited.pop(0)
            if isinstance(replicas, ResponseError):
                return f"the server refuses WAIT: {replicas}"
            if int(replicas) < limits.intent_replicas:
                return (
                    f"{replicas} of {limits.intent_replicas} replicas had the intent {within} "
                    "(WANIMATE_INTENT_REPLICAS)"
                )
        if limits.intent_fsync:
            on_disk = waited.pop(0)
            if isinstance(on_disk, ResponseError):
                return f"WANIMATE_INTENT_FSYNC: {_fsync_problem(on_disk)}"
            if int(cast("list[int]", on_disk)[0]) < 1:
                return f"the intent was not on the server's disk {within} (WANIMATE_INTENT_FSYNC)"
        return None


def _fsync_problem(error: ResponseError) -> str:
    if "unknown command" in str(error).lower():
        return "this server does not know WAITAOF: it needs Redis 7.2, or Valkey; upgrade it or unset the setting"
    return f"the server refuses WAITAOF ({error}): it needs appendonly yes, and the user +waitaof"
