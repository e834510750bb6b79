"""What callers do during a run: they enqueue, in every way there is, and wait for what becomes of it."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from celery import Celery
from kombu.exceptions import OperationalError
from pydantic import SecretStr
from wanimate import AnimateJob, JobFailed, JobNotFound, QueueUnavailable, ReplaceJob, Result, Settings, WaitTimeout
from wanimate.contract import CONTRACT_HEADER, ENTRY_QUEUE, GENERATE_TASK, JobState
from wanimate.redis.transport import celery_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from rig import Rig
    from wanimate import Client, JobHandle
    from wanimate.contract import Job

Outcome = Result | JobFailed
_PAUSE_SECONDS = 0.3
#: In the URL of every job, as a signature of a storage service is; it may be in Redis and nowhere else.
SIGNED = "X-Signature=5e1f7a9c3b"
#: What a few of every 50 jobs ask the simulator for. The first of these is retried, and then succeeds.
RETRIED_CODE = "MODEL_UNAVAILABLE"
_RETRIED = 12
_PROMPTS = {
    _RETRIED: f"[code:{RETRIED_CODE}*1]",
    24: "[code:PROCESSING_TIMEOUT]",
    37: "[code:UNSUPPORTED_FORMAT]",
    49: "[violation]",
}


class Traffic:
    """Callers that keep the queue busy until told to stop, and count on nothing but what they are promised.

    Args:
        rig: Whose queue it is.
        client: Their client.
    """

    def __init__(self, rig: Rig, client: Client) -> None:
        self.outcomes: dict[int, Outcome] = {}
        #: How often a job was enqueued once more because a failover may have forgotten it.
        self.enqueued_again = 0
        self._rig = rig
        self._client = client
        self._stopping = threading.Event()
        # As a backend that uses Celery and knows the task only by its name.
        self._foreign = Celery("backend", set_as_current=False)
        options = celery_settings(Settings(redis_url=SecretStr(rig.stack.redis.url)))
        options["broker_transport_options"] |= {"max_retries": 1}
        self._foreign.conf.update(options, broker_connection_max_retries=1)
        first = client.submit_many(self._job(number) for number in range(rig.profile.jobs))
        self._numbers = {handle.id: number for number, handle in enumerate(first)}
        self._handles = list(first)
        self._enqueuing = threading.Thread(target=self._enqueue)
        self._collecting = threading.Thread(target=self._collect)

    def start(self) -> None:
        """Begin to wait for the jobs, and to enqueue more."""
        self._enqueuing.start()
        self._collecting.start()

    def stop(self) -> None:
        """Enqueue nothing more and wait until all that was enqueued has ended, or the run takes too long."""
        self._stopping.set()
        self._enqueuing.join()
        self._collecting.join()
        self._foreign.close()

    @property
    def job_ids(self) -> dict[int, str]:
        """The ids of the jobs by their numbers."""
        return {number: job_id for job_id, number in list(self._numbers.items())}

    @property
    def enqueued(self) -> int:
        """How many jobs the callers believe to be in the queue."""
        return len(self._handles)

    def _enqueue(self) -> None:
        """Keep a backlog of a few times what the vendor takes at once."""
        ways = (self._by_client, self._by_name, self._by_earlier_contract)
        while not self._stopping.is_set():
            if len(self._handles) - len(self.outcomes) > 4 * self._rig.profile.cap:
                self._stopping.wait(_PAUSE_SECONDS)
                continue
            number = len(self._handles)
            self._insist(ways[number % len(ways)], number)

    def _insist(self, way: Callable[[int], JobHandle], number: int) -> None:
        """Enqueue one job, again and again until it is certain: with a key or an id of its own that is safe."""
        while True:
            try:
                handle = way(number)
            except (QueueUnavailable, OperationalError, OSError):
                time.sleep(_PAUSE_SECONDS)
            else:
                self._numbers[handle.id] = number
                self._handles.append(handle)
                return

    def _by_client(self, number: int) -> JobHandle:
        return self._client.submit(self._job(number, idempotency_key=f"chaos-{number}"))

    def _by_name(self, number: int) -> JobHandle:
        return self._send(number, {})

    def _by_earlier_contract(self, number: int) -> JobHandle:
        return self._send(number, {CONTRACT_HEADER: 0})

    def _send(self, number: int, headers: dict[str, Any]) -> JobHandle:
        return self._send_as(f"00000000-0000-4000-8000-{number:012}", number, headers)

    def _send_as(self, job_id: str, number: int, headers: dict[str, Any]) -> JobHandle:
        self._foreign.send_task(
            GENERATE_TASK,
            kwargs=self._job(number).to_kwargs(),
            task_id=job_id,
            queue=ENTRY_QUEUE,
            headers=headers,
            retry=False,
            ignore_result=False,
        )
        return self._client.job(job_id)

    def _job(self, number: int, **fields: Any) -> Job:
        """Return a job that the vendor's ground truth knows by its marker."""
        kind = ReplaceJob if number % 3 == 0 else AnimateJob
        if number % 4 == 0 and not self._rig.has_old_workers:
            fields["webhook_url"] = f"{self._rig.receivers[1].url}/{number}"
        prompt = _PROMPTS.get(number % 50)
        if number % 50 == _RETRIED:
            # Workers of an earlier version know no retries, and refuse a field that they do not know.
            prompt, retries = (None, {}) if self._rig.has_old_workers else (prompt, {"retry_transient": 1})
            fields |= retries
        return kind(
            image_url=f"https://example.com/{number}.png?marker=job-{number}",
            video_url=f"https://example.com/motion.mp4?{SIGNED}",
            prompt=prompt,
            **fields,
        )

    def _collect(self) -> None:
        deadline = time.monotonic() + self._rig.profile.longest_seconds
        while time.monotonic() < deadline:
            pending = [handle for handle in self._handles if self._numbers[handle.id] not in self.outcomes]
            if not pending and self._stopping.is_set() and not self._enqueuing.is_alive():
                return
            try:
                for handle, outcome in self._client.as_completed(pending, timeout=2):
                    self.outcomes[self._numbers[handle.id]] = outcome
            except (WaitTimeout, JobNotFound):
                if self._rig.has_sentinel and self._stopping.is_set():
                    self._enqueue_again(pending)
                time.sleep(_PAUSE_SECONDS)
            except QueueUnavailable:
                time.sleep(_PAUSE_SECONDS)

    def _enqueue_again(self, handles: list[JobHandle]) -> None:
        """Enqueue under the same id what no worker has recorded: a failover may forget what a primary took."""
        for handle in handles:
            if self._numbers[handle.id] in self.outcomes or not _is_unrecorded(handle):
                continue
            with suppress(OperationalError, OSError):
                self._send_as(handle.id, self._numbers[handle.id], {})
                self.enqueued_again += 1


def _is_unrecorded(handle: JobHandle) -> bool:
    try:
        return handle.status().state is JobState.QUEUED
    except JobNotFound:
        return True
