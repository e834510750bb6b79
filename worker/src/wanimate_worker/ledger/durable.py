"""What must outlive the server that took it: on replicas, where the settings ask for them."""

from __future__ import annotations

from typing import Any

from redis.exceptions import ResponseError

from .script import SCRIPTS, Concern, script
from .values import CallbackEffect, NotReplicated


class Durable(Concern):
    """Intents and callbacks, kept as safe as the settings ask."""

    def confirm(self, job_id: str, nonce: str) -> str | None:
        """Wait until the intent of an attempt is as safe as the settings ask; None if it is, else why not.

        The intent is written once more and the wait follows on the same connection. So a server that forgot the intent
        says so, and no connection that was opened in between confirms writes it never made.
        """
        if not self._limits.intent_replicas:
            return None
        is_known, why = self._replicated("the intent", "confirm", job_id, nonce)
        return why if is_known else "Redis does not know the intent any more"

    @script(bool)
    def _confirm(self, job_id: str, nonce: str) -> bool: ...

    def callback(self, job_id: str, nonce: str, task_id: str = "") -> CallbackEffect:
        """Record that the vendor called back, and return what that changed.

        A callback that was accepted never comes again, and while the answer to a submission is missing only the
        callback names its task. So it is kept as safe as the intent.

        Args:
            nonce: The attempt whose callback it is.
            task_id: The task id that the callback names, if it names one; a status request checks it.

        Raises:
            NotReplicated: It was noted, and too few replicas have it; the same call again may find more.
        """
        if not self._limits.intent_replicas:
            return self._callback(job_id, nonce, task_id)
        answer, why = self._replicated("the callback", "callback", job_id, nonce, task_id)
        effect = CallbackEffect(answer)
        if why is not None and effect in {CallbackEffect.DUE, CallbackEffect.NOTED}:
            raise NotReplicated(why)
        return effect

    @script(CallbackEffect)
    def _callback(self, job_id: str, nonce: str, task_id: str) -> CallbackEffect: ...

    def _replicated(self, what: str, name: str, *args: str) -> tuple[Any, str | None]:
        """Run a script and wait for the replicas on one connection.

        Returns:
            The script's answer, and why too few replicas have it.
        """
        wanted, within_ms = self._limits.intent_replicas, self._limits.intent_timeout_ms
        with self._redis.pipeline(transaction=False) as pipeline:
            self._run(SCRIPTS[name], args, {}, pipeline)
            pipeline.wait(wanted, within_ms)
            answer, replicas = pipeline.execute(raise_on_error=False)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(replicas, ResponseError):
            return answer, f"the server refuses WAIT: {replicas}"
        if int(replicas) < wanted:
            within = f"within {within_ms / 1000:g} s"
            return answer, f"{replicas} of {wanted} replicas had {what} {within} (WANIMATE_INTENT_REPLICAS)"
        return answer, None
