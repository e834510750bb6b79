"""`wanimate-worker forget`: deletes everything stored about jobs with a label, such as one customer's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click
from redis.exceptions import ResponseError
from wanimate.errors import SettingsError
from wanimate.program import read_label
from wanimate.text import counted

from .session import Exit, Session, Verdict, command

if TYPE_CHECKING:
    from redis import Redis

    from ..engine.runtime import Runtime
    from ..keeping.store import Store
    from ..ledger import Traces

_MAX_NAMED: Final = 5
_AT_WORK: Final = "not ended: cancel it or wait, then run this again"


@command("forget --label customer=acme", Exit.REFUSED)
@click.option(
    "--label",
    "labels",
    type=read_label,
    metavar="K=V",
    multiple=True,
    required=True,
    help="Jobs with this label; repeatable.",
)
@click.option("--yes", is_flag=True, help="Delete without confirmation.")
def forget(session: Session, labels: tuple[tuple[str, str], ...], *, yes: bool) -> Exit:
    """Delete everything stored about jobs with a label.

    Deleted are copied videos, records with request and prompt, results, events, undelivered webhooks and dead letters.
    Jobs that have not ended are skipped: cancel them or wait, then run this again. It needs the credentials of the
    store. After an interruption, run it again.
    """
    found = session.ledger.erasing.find(dict(labels))
    ended, at_work = ([each for each in found if each.is_at_work is is_at_work] for is_at_work in (False, True))
    for traces in at_work:
        _print(session, traces, Verdict(Exit.REFUSED, "left", f"{traces.stage}: {_AT_WORK}"))
    code = Exit.REFUSED if at_work else Exit.OK
    if ended:
        session.note(_plan(ended))
        if not yes and not _is_confirmed(session):
            return Exit.REFUSED
    stores = _Stores(session.runtime)
    for traces in ended:
        verdict = _forget(session, traces, stores)
        _print(session, traces, verdict)
        code = max(code, verdict.code)
    if not found:
        session.note("No jobs with these labels are stored.")
    for line in _what_stays(session):
        session.note(line)
    return code


def _plan(ended: list[Traces]) -> str:
    counts = {
        "job": len(ended),
        "copied video": sum(len(traces.videos) for traces in ended),
        "event": sum(len(traces.event_ids) for traces in ended),
        "undelivered webhook": sum(len(traces.webhooks) for traces in ended),
        "dead letter": sum(len(traces.dead_letters) for traces in ended),
    }
    ids = ", ".join(traces.job_id for traces in ended[:_MAX_NAMED])
    what = ", ".join(counted(count, name) for name, count in counts.items())
    return f"This deletes for good: {what}: {ids}{' …' if len(ended) > _MAX_NAMED else ''}"


def _is_confirmed(session: Session) -> bool:
    if session.as_json or not sys.stdin.isatty():
        session.note("Nothing was deleted. Add --yes to delete.")
        return False
    return click.confirm("Delete?", err=True)


class _Stores:
    """The stores that hold videos, each opened once."""

    def __init__(self, runtime: Runtime) -> None:
        from ..keeping.keeper import store_url

        self._base = (store_url(runtime) or "").rstrip("/")
        self._opened: dict[str, Store] = {}

    def delete(self, url: str) -> None:
        """Delete a video."""
        from ..keeping.store import Store

        base = self._base
        if not base or not url.startswith(f"{base}/"):
            # The account had another store when this was copied.
            base = url.rpartition("/")[0]
        if base not in self._opened:
            self._opened[base] = Store(base)
        self._opened[base].delete(url.removeprefix(f"{base}/"))


def _forget(session: Session, traces: Traces, stores: _Stores) -> Verdict:
    """Delete everything of a job, the record last: it names the rest, so this can run again after a crash."""
    from ..keeping.failures import StoreFailed

    for url in traces.videos:
        try:
            stores.delete(url)
        except (StoreFailed, SettingsError) as error:
            return Verdict(
                Exit.UNAVAILABLE,
                "left",
                f"its video could not be deleted ({error}): correct the store, then run this again",
            )
    if not session.ledger.erasing.delete(traces, session.result_key(traces.result_id)):
        return Verdict(Exit.REFUSED, "left", _AT_WORK)
    return Verdict(
        Exit.OK,
        "forgotten",
        f"{counted(len(traces.videos), 'video')} and {counted(len(traces.event_ids), 'event')} deleted",
    )


def _print(session: Session, traces: Traces, verdict: Verdict) -> None:
    facts: dict[str, Any] = {"id": traces.job_id, "outcome": verdict.outcome, "message": verdict.text}
    facts |= {"videos": len(traces.videos), "events": len(traces.event_ids), "webhooks": len(traces.webhooks)}
    session.line(f"{traces.job_id}  {verdict.outcome}  {verdict.text}", **facts)


def _what_stays(session: Session) -> list[str]:
    """Return what this command cannot delete."""
    elsewhere = (
        "Not deleted: billed seconds and dollars by label (kept for seven days), logs, jobs that no worker has "
        "recorded yet, copies in your backends, older versions in a bucket with versioning, and videos of jobs whose "
        "record and event have expired."
    )
    return [*_persistence(session.runtime.redis), elsewhere]


def _persistence(redis: Redis) -> list[str]:
    try:
        info: dict[str, Any] = redis.info("persistence")
        replicas = int(redis.info("replication").get("connected_slaves", 0))
    except ResponseError:
        return ["Redis reports nothing about its files: rewrite them, and check its replicas and backups."]
    lines = []
    if info.get("aof_enabled"):
        size = f"{int(info.get('aof_current_size', 0)):,} bytes"
        state = "; a rewrite is running" if info.get("aof_rewrite_in_progress") else ""
        lines.append(
            f"Redis's append-only file ({size}{state}) contains the deleted data until it is rewritten: run "
            "BGREWRITEAOF."
        )
    if info.get("rdb_last_save_time") and not info.get("aof_enabled"):
        lines.append("Redis's snapshot file contains the deleted data until the next one is written: run BGSAVE.")
    if replicas:
        lines.append(f"{counted(replicas, 'connected replica')} of Redis with own files: rewrite those too.")
    return [*lines, "Backups of Redis and of the store contain it until they are deleted."]
