"""Copies videos: claims them in the ledger, as many as there are threads free, and settles their jobs."""

from __future__ import annotations

import random
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError
from wanimate.contract import KeptFile, Stage
from wanimate.errors import SettingsError

from ..engine.pool import Pool
from ..telemetry import get_logger
from .failures import CopyFailed, Stopping, StoreFailed, TooLarge
from .naming import name_of
from .source import Source
from .store import Store
from .video import VideoCheck

if TYPE_CHECKING:
    from wanimate.contract import Outcome

    from ..engine.runtime import Runtime
    from ..ledger import Keep

log = get_logger(__name__)

#: How often a keeper checks for videos that it was not woken for, in seconds: without and with videos.
_CHECK_SECONDS, _BUSY_CHECK_SECONDS = 1.0, 0.1
_MAX_DELAY_SECONDS: Final = 60.0
#: How long a stop lets copies under way go on, in seconds.
_STOP_SECONDS: Final = 20.0


def check_store(runtime: Runtime) -> str | None:
    """Learn whether videos can be copied, and return the store's URL; None where the account keeps none.

    Raises:
        SettingsError: The store's URL or its credentials are wrong.
    """
    url = store_url(runtime)
    if url is None:
        return None
    try:
        Store(url).check()
    except StoreFailed as error:
        log.warning("the store is not usable; copies are retried", store=url, cause=error)
    return url


class Keeper:
    """The copies of one process.

    Args:
        runtime: The ledger and the settings.
        threads: How many videos are copied at once.
    """

    def __init__(self, runtime: Runtime, threads: int) -> None:
        self._runtime = runtime
        self._threads = threads
        self._pool = Pool(threads, "keeper")
        self._woken, self._stopping, self._cut = threading.Event(), threading.Event(), threading.Event()
        self._source = Source(threads, self._cut, trust_env=runtime.settings.trust_env)
        self._store: Store | None = None
        self._lock = threading.Lock()
        self._under_way: dict[str, Keep] = {}
        self._workers: list[threading.Thread] = []

    def start(self) -> None:
        """Start to copy."""
        self._runtime.wake_keeper = self.wake
        for name, work in (("keeper", self._claim_until_stopped), ("keeper leases", self._renew_until_stopped)):
            thread = threading.Thread(target=work, name=name, daemon=True)
            thread.start()
            self._workers.append(thread)

    def stop(self, *, waits: bool = True) -> None:
        """Claim no more; copies under way may end, but not for long: then other keepers make them.

        Args:
            waits: Whether copies under way may end.
        """
        self._stopping.set()
        self._woken.set()
        if waits:
            for thread in self._workers[:1]:
                thread.join()
            self._pool.wait_for_room(self._threads, _STOP_SECONDS)
        self._cut.set()
        self._pool.close(waits=waits)
        self._source.close()

    def wake(self) -> None:
        """Look for videos now; safe from any thread."""
        self._woken.set()

    def _claim_until_stopped(self) -> None:
        is_away = False
        while not self._stopping.is_set():
            room = self._pool.wait_for_room(1, _CHECK_SECONDS)
            self._woken.clear()
            found = 0
            try:
                found = self._look(room) if room and not self._stopping.is_set() else 0
                is_away = False
            except (RedisError, SettingsError) as error:
                # Away, or another account's: then Celery ends this worker.
                if not is_away:
                    log.warning("Redis is unavailable; videos are copied later", cause=error)
                is_away = True
            except Exception:
                log.exception("unexpected error; the videos are copied when their leases end")
            if found < room:
                self._woken.wait(_BUSY_CHECK_SECONDS if found else _CHECK_SECONDS)

    def _look(self, room: int) -> int:
        """Claim as many videos as there are threads free, start to copy them, and return how many."""
        keeps = self._runtime.ledger.keeps.claim(room)
        if not keeps:
            return 0
        try:
            store = self._current_store()
        except SettingsError as error:
            for keep in keeps:
                self._postpone(keep, str(error))
            return len(keeps)
        for keep in keeps:
            with self._lock:
                self._under_way[keep.job_id] = keep
            self._pool.start(self._keep, keep, store)
        return len(keeps)

    def _current_store(self) -> Store | None:
        """Return the account's store, opened once for each URL that an operator sets.

        Jobs that were to be kept when an operator switched keeping off are copied all the same, to the last store that
        this process knows.
        """
        url = store_url(self._runtime)
        if url and (self._store is None or self._store.url != url):
            self._store = Store(url)
        return self._store

    def _renew_until_stopped(self) -> None:
        """Prolong the leases of copies under way, until the last one has ended."""
        seconds = self._runtime.settings.ledger_limits().keep_lease_ms / 3000
        while not self._cut.wait(seconds):
            with self._lock:
                keeps = list(self._under_way.values())
            try:
                if keeps:
                    self._runtime.ledger.keeps.renew(keeps)
            except RedisError as error:
                log.warning("Redis is unavailable; another keeper may copy the same videos", cause=error)

    def _keep(self, keep: Keep, store: Store | None) -> None:
        try:
            if store is None:
                self._finish(keep, keep.without_copy(), "the account has no store: WANIMATE_KEEP_URL is not set")
                return
            begun = time.monotonic()
            try:
                outcome = self._copy(keep, store)
            except CopyFailed as error:
                has_time = keep.claimed_at_ms < keep.expires_at_ms and not isinstance(error, TooLarge)
                if has_time or isinstance(error, Stopping):
                    self._postpone(keep, str(error), is_at_once=isinstance(error, Stopping))
                else:
                    self._finish(keep, keep.without_copy(), str(error))
                return
            if self._finish(keep, outcome):
                files = outcome.result.files if outcome.result else ()
                log.info(
                    "video copied",
                    stage=Stage.SETTLED,
                    job_id=keep.job_id,
                    bytes=sum(file.size_bytes for file in files),
                    seconds=round(time.monotonic() - begun, 3),
                    tries=keep.tries + 1,
                )
        finally:
            with self._lock:
                self._under_way.pop(keep.job_id, None)

    def _copy(self, keep: Keep, store: Store) -> Outcome:
        """Copy the videos of a job, and return its outcome with their new URLs.

        Raises:
            CopyFailed: One could not be copied.
        """
        result = keep.outcome.result
        if result is None:
            return keep.outcome
        settings, files = self._runtime.settings, []
        for number, source_url in enumerate(result.urls, 1):
            name = name_of(settings.keep_name, keep, number)
            check = VideoCheck(settings.keep_max_bytes)
            with closing(self._source.read(source_url, check)) as chunks:
                store.write(name, chunks, lambda check=check: check.content_type)  # type: ignore[misc]
            files.append(
                KeptFile(
                    url=store.url_of(name),
                    source_url=source_url,
                    size_bytes=check.size_bytes,
                    sha256=check.sha256,
                    content_type=check.content_type,
                )
            )
        kept = result.model_copy(
            update={
                "urls": tuple(file.url for file in files),
                "source_urls": result.urls,
                "kept": True,
                "files": tuple(files),
                "urls_expire_at": None,
            }
        )
        return keep.outcome.model_copy(update={"result": kept})

    def _finish(self, keep: Keep, outcome: Outcome, why_not: str = "") -> bool:
        """Settle the job, and offer it for delivery; False if another keeper was first."""
        runtime = self._runtime
        if not runtime.ledger.keeps.finish(keep, outcome):
            log.info("another keeper settled the job", job_id=keep.job_id)
            return False
        if why_not:
            event = "video not copied; the job ends with the vendor's URL, which may no longer work"
            log.error(event, stage=Stage.SETTLED, job_id=keep.job_id, cause=why_not, tries=keep.tries + 1)
        runtime.go_on([keep.job_id])
        return True

    def _postpone(self, keep: Keep, why: str, *, is_at_once: bool = False) -> None:
        delay_ms = 0 if is_at_once else _delay_ms(keep.tries)
        if self._runtime.ledger.keeps.postpone(keep, why, delay_ms):
            log.warning(
                "video not copied; the copy is retried",
                job_id=keep.job_id,
                cause=why,
                tries=keep.tries + 1,
                retry_after_seconds=round(delay_ms / 1000, 1),
                expires_in_seconds=max(0, keep.expires_at_ms - keep.claimed_at_ms) // 1000,
            )


def store_url(runtime: Runtime) -> str | None:
    """Return where the account's videos are copied to; None where they are not."""
    limits = runtime.ledger.limits.read()
    return (limits and limits.keep_url) or runtime.settings.keep_url


def _delay_ms(tries: int) -> int:
    """Return how long to wait after a failed copy: twice as long each time, less up to a half by chance."""
    longest = min(_MAX_DELAY_SECONDS, 2.0 ** min(tries, 10))
    return round(1000 * longest * random.uniform(0.5, 1))  # noqa: S311 - it spreads load
